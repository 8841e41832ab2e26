import os from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where the config file is, and whether somebody named it: then it must be there.
 * `--config`, `TRACE_CONSOLE_CONFIG`, `$XDG_CONFIG_HOME/trace-console/config.toml`, else below `~/.config`.
 */
export function configLocation(
  flag: string | undefined,
  environment: Environment = process.env,
): { file: string; named: boolean } {
  const { TRACE_CONSOLE_CONFIG: variable, XDG_CONFIG_HOME: home } = environment;
  const named = flag ?? (variable === '' ? undefined : variable);
  if (named !== undefined) return { file: path.resolve(named), named: true };
  // The specification ignores a relative XDG_CONFIG_HOME.
  const base = home && path.isAbsolute(home) ? home : path.join(os.homedir(), '.config');
  return { file: path.join(base, 'trace-console', 'config.toml'), named: false };
}
