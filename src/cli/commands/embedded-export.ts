import fs from 'node:fs';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { openEmbeddedDatabase } from '../../db/open.js';
import { exportDatabase } from '../../maintenance/embedded/export-database.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';

export const embeddedExport = defineCommand({
  name: 'embedded export',
  summary: 'write the embedded database to a file of SQL',
  usage: 'FILE',
  inputs: 1,
  description: [
    'Schema and rows, archives too, as one state; run it with "psql -f FILE" on an empty database.',
    'Other clients of the embedded database wait meanwhile. An existing file is not overwritten.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console embedded export traces.sql'],
  async run({ flags, input, print, note }) {
    const file = input[0];
    if (file === undefined) throw new ConsoleError('usage', 'embedded export needs a FILE.');
    const output = await openNew(file);
    const database = await openEmbeddedDatabase({ ...flags, onProgress: note });
    try {
      const tables = await exportDatabase(database, async (text) => {
        await output.write(text);
      });
      await output.sync();
      if (flags.json) print(JSON.stringify({ file, tables }, null, 2));
      else
        print(
          plainTable(
            ['Table', 'Rows'],
            tables.map(({ table, rows }) => [table, rows]),
            [1],
          ),
        );
      return exitCodes.good;
    } catch (error) {
      fs.rmSync(file, { force: true });
      throw error;
    } finally {
      await output.close();
      await database.close();
    }
  },
});

async function openNew(file: string): Promise<fs.promises.FileHandle> {
  try {
    // Prompts are private: the file is its owner's alone.
    return await fs.promises.open(file, 'wx', 0o600);
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const message = exists
      ? `${file} exists already.`
      : `Cannot write ${file}: ${(cause as Error).message}`;
    throw new ConsoleError('usage', message, { cause });
  }
}
