import { createInterface } from 'node:readline/promises';
import type { Database } from '../db/database.js';
import { poolSizes } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { openDatabase } from '../db/open.js';
import type { CommandContext, FlagDeclarations } from './command.js';

type Closing = { context: CommandContext<FlagDeclarations>; close: () => Promise<void> };

/** The real terminal and process behind a command; `close` ends what the command opened. */
export function processContext(
  parsed: Pick<CommandContext<FlagDeclarations>, 'flags' | 'input'>,
  signal: AbortSignal,
): Closing {
  const { flags } = parsed;
  const open: Database[] = [];
  const note = (line: string) => {
    if (!flags.json) process.stderr.write(`${line}\n`);
  };
  const context: CommandContext<FlagDeclarations> = {
    ...parsed,
    interactive: process.stdin.isTTY && process.stdout.isTTY,
    signal,
    print: (line) => void process.stdout.write(`${line}\n`),
    note,
    async ask(question) {
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await terminal.question(question, { signal });
      } finally {
        terminal.close();
      }
    },
    async openDatabase() {
      const database = await openDatabase({
        url: flags.url,
        envFile: flags.envFile,
        dataDir: flags.dataDir,
        schema: flags.schema,
        poolSize: checkedPoolSize(flags.poolSize),
        readOnly: flags.readOnly,
        onProgress: note,
      });
      open.push(database);
      return database;
    },
  };
  return {
    context,
    async close() {
      await Promise.all(open.map((database) => database.close()));
    },
  };
}

function checkedPoolSize(size: number | undefined): number | undefined {
  const { lowest, highest } = poolSizes;
  if (size !== undefined && (!Number.isInteger(size) || size < lowest || size > highest)) {
    throw new ConsoleError(
      'usage',
      `--pool-size takes a whole number from ${lowest} to ${highest}.`,
    );
  }
  return size;
}
