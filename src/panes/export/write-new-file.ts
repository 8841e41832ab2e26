import fs from 'node:fs/promises';
import path from 'node:path';
import { ConsoleError } from '../../db/errors.js';

const mostTries = 1_000;

/**
 * Writes a file that only its owner may read (prompts are private), never over another: a second one of the name gets
 * `-2`.
 *
 * @returns where it is
 * @throws ConsoleError `file_not_written`
 */
export async function writeNewFile(
  folder: string,
  name: string,
  extension: string,
  text: string,
): Promise<string> {
  for (let number = 1; number <= mostTries; number++) {
    const suffix = number === 1 ? '' : `-${number}`;
    const file = path.resolve(folder, `${name}${suffix}.${extension}`);
    try {
      await fs.writeFile(file, text, { flag: 'wx', mode: 0o600 });
      return file;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ConsoleError('file_not_written', `The file could not be written: ${reason}`, {
        cause: error,
        hint: `Start the console in a folder of your own, or name one: ${exportFolderVariable}=FOLDER`,
      });
    }
  }
  throw new ConsoleError('file_not_written', `${folder} has ${mostTries} files of that name.`);
}

export const exportFolderVariable = 'TRACE_CONSOLE_EXPORT_FOLDER';

/** Where exports go: the configured folder, or the current one. */
export function exportFolder(environment: NodeJS.ProcessEnv): string {
  const configured = environment[exportFolderVariable];
  return configured === undefined || configured === '' ? process.cwd() : configured;
}
