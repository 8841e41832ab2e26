import { createInterface } from 'node:readline/promises';
import type { Database } from '../db/database.js';
import { poolSizes } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { openDatabase } from '../db/open.js';
import type { CommandContext, FlagDeclarations } from './command.js';
import type { Config } from './config/config.js';
import { connectionChoices, openOptionsOf } from './connection-choices.js';
import { settingsFor } from './config/settings.js';
import { demoDataFolder } from './demo-companion.js';

type Flags = CommandContext<FlagDeclarations>['flags'];

type Closing = { context: CommandContext<FlagDeclarations>; close: () => Promise<void> };

/**
 * The real terminal and process behind a command; `close` ends what the command opened.
 *
 * @param config what `--connection` names a connection of
 * @param listen installs the handlers of interruptions; called when the command asks for its signal
 */
export function processContext(
  parsed: Pick<CommandContext<FlagDeclarations>, 'flags' | 'input'>,
  listen: () => AbortSignal,
  config: Config,
): Closing {
  const settings = settingsFor(config, parsed.flags);
  const { connection } = settings;
  const flags = withDemoFolder(parsed.flags);
  checkPoolSize(flags.poolSize);
  let open: Promise<Database> | undefined;
  const note = (line: string) => {
    if (!flags.json) process.stderr.write(`${line}\n`);
  };
  const context: CommandContext<FlagDeclarations> = {
    flags,
    settings,
    input: parsed.input,
    interactive: process.stdin.isTTY && process.stdout.isTTY,
    get signal() {
      return listen();
    },
    print: (line) => void process.stdout.write(`${line}\n`),
    note,
    async ask(question) {
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await terminal.question(question);
      } catch (error) {
        // Ctrl-C and Ctrl-D are an answer, too: none of those that agree.
        if (!(error instanceof Error && error.name === 'AbortError')) throw error;
        process.stderr.write('\n');
        return '';
      } finally {
        terminal.close();
      }
    },
    openDatabase(onProgress = note) {
      const options = { ...openOptionsOf(flags, connection), onProgress };
      open ??= openDatabase(options).catch((error: unknown) => {
        // The next call may try again.
        open = undefined;
        throw error;
      });
      return open;
    },
    connections: () => connectionChoices(config, flags, connection),
  };
  return {
    context,
    async close() {
      const database = await open?.catch(() => undefined);
      await database?.close();
    },
  };
}

function withDemoFolder(flags: Flags): Flags {
  if (!flags.demo) return flags;
  if (flags.url !== undefined || flags.dataDir !== undefined) {
    throw new ConsoleError('usage', '--demo has a database of its own.', {
      hint: 'Leave --url and --data-dir out; "trace-console demo" writes to any database.',
    });
  }
  return Object.assign(flags, { dataDir: demoDataFolder() });
}

function checkPoolSize(size: number | undefined): void {
  const { lowest, highest } = poolSizes;
  if (size !== undefined && (!Number.isInteger(size) || size < lowest || size > highest)) {
    throw new ConsoleError(
      'usage',
      `--pool-size takes a whole number from ${lowest} to ${highest}.`,
    );
  }
}
