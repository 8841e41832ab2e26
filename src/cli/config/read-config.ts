import { unreadableFile } from '../../db/errors.js';
import { noConfig, type Config } from './settings.js';
import { configLocation, readTextFile } from '../../core/folders.js';

/**
 * Reads the config file, where there is one. What understands it is loaded only then: a start without a
 * config costs a look at the file system.
 *
 * @param flag the value of `--config`
 * @throws ConsoleError `usage` that names file and line
 */
export async function readConfig(flag: string | undefined): Promise<Config> {
  const location = configLocation(flag);
  if (location === undefined) return noConfig;
  const { file, named } = location;
  let text: string;
  try {
    text = readTextFile(file);
  } catch (cause) {
    if (!named && isMissing(cause)) return noConfig;
    if (!named) return { ...noConfig, unreadable: file };
    const hint =
      'Give the path of a readable file, or leave --config and TRACE_CONSOLE_CONFIG out.';
    throw unreadableFile('usage', 'config file', file, { hint, cause });
  }
  const { parseConfig } = await import('./parse-config.js');
  return parseConfig(text, file);
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
