import os from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The user's home folder, always absolute; undefined when neither HOME nor the system names one. An
 * empty or relative HOME counts as not set, as for libpq: os.homedir() would give it back as it is, and a
 * database would be made in the current folder.
 */
export function homeFolder(environment: Environment = process.env): string | undefined {
  const named = process.platform === 'win32' ? environment.USERPROFILE : environment.HOME;
  if (named !== undefined && path.isAbsolute(named)) return named;
  try {
    const { homedir } = os.userInfo();
    return path.isAbsolute(homedir) ? homedir : undefined;
  } catch {
    // A user id without an entry, as containers have them.
    return undefined;
  }
}

const baseFolders = {
  config: { variable: 'XDG_CONFIG_HOME', below: ['.config'] },
  data: { variable: 'XDG_DATA_HOME', below: ['.local', 'share'] },
  state: { variable: 'XDG_STATE_HOME', below: ['.local', 'state'] },
} as const;

/**
 * The console's folder for one kind of file by the XDG specification, which ignores relative paths:
 * `$XDG_DATA_HOME/trace-console`, else `~/.local/share/trace-console`; undefined without a home folder.
 * The packages for it (xdg-basedir, env-paths) take an empty HOME and relative paths as they are.
 */
export function consoleFolder(
  kind: keyof typeof baseFolders,
  environment: Environment = process.env,
): string | undefined {
  const { variable, below } = baseFolders[kind];
  const named = environment[variable];
  if (named !== undefined && path.isAbsolute(named)) return path.join(named, 'trace-console');
  const home = homeFolder(environment);
  return home === undefined ? undefined : path.join(home, ...below, 'trace-console');
}

/** The disk, or what this user may have of it, is full. */
export const isNoSpace = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');
