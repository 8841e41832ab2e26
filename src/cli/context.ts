import { createInterface } from 'node:readline/promises';
import type { Database } from '../db/database.js';
import { poolSizes } from '../db/server-pool.js';
import { ConsoleError } from '../db/errors.js';
import { dataFolder, openDatabase, type OpenOptions } from '../embedded/index.js';
import { type Command, type CommandContext, type FlagDeclarations, progress } from './command.js';
import {
  type Config,
  settingsFor,
  type NamedConnection,
  spansFor,
  type PlaceFlags,
} from './config/settings.js';
import { demoDataFolder } from './demo-companion.js';
import { commands, databaseCommands } from './registry.js';
import { plainText, ProgressBar } from './safe-text.js';
import path from 'node:path';
import { parseConnectionString } from '../db/connection/conninfo.js';
import { carryFlags, commandFlags } from '../db/connection/command-flags.js';
import { shellWord } from '../db/quote.js';
import { resolveSource } from '../db/connection/source.js';
import type { CollectorTarget } from '../ingest/collector/collector.js';
import type { ConnectionChoice } from '../ui/context.js';
import type { ConnectionBadge } from '../ui/draw/header.js';
import { unnamed } from '../ui/strings.js';

/** As {@link openDatabase}. */
async function open(options: OpenOptions): Promise<Database> {
  const database = await openDatabase(options);
  progress.isOpen = true;
  return database;
}

type Flags = CommandContext<FlagDeclarations>['flags'];

type Closing = { context: CommandContext<FlagDeclarations>; close: () => Promise<void> };

/**
 * The real terminal and process behind a command; `close` ends what the command opened.
 *
 * @param config what `--connection` names a connection of
 * @param listen installs the handlers of interruptions; called when the command asks for its signal
 */
export function processContext(
  command: Command,
  parsed: Pick<CommandContext<FlagDeclarations>, 'flags' | 'input'>,
  listen: () => AbortSignal,
  config: Config,
): Closing {
  const settings = settingsFor(config, parsed.flags);
  const { connection } = settings;
  const flags = withDemoFolder(parsed.flags);
  checkPoolSize(flags.poolSize);
  let opening: Promise<Database> | undefined;
  const bar = new ProgressBar();
  const note = (line: string) => {
    bar.clear();
    if (!flags.json) process.stderr.write(`${plainText(line, process.stderr)}\n`);
  };
  const isText = !flags.json && command.printsFile?.(flags) !== true;
  if (config.unreadable !== undefined) {
    note(`note: without the config file, which cannot be read: ${config.unreadable}`);
  }
  let opened: Database | undefined;
  const hint = (text: string) =>
    carryFlags(text, hintFlags(opened, flags, connection), databaseCommands);
  const context: CommandContext<FlagDeclarations> = {
    flags,
    settings,
    commands,
    input: parsed.input,
    // When it is asked for: Node opens the input for it, which takes a millisecond or two.
    get interactive() {
      return process.stdin.isTTY && process.stdout.isTTY;
    },
    get signal() {
      return listen();
    },
    hint,
    print(line) {
      bar.clear();
      process.stdout.write(`${isText ? plainText(line) : line}\n`);
    },
    note,
    progress(line, share) {
      if (flags.json) return;
      if (bar.isPossible) bar.draw(line, share);
      else note(line);
    },
    async ask(question) {
      bar.clear();
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      let answer: string | undefined;
      // When the input ends (a terminal that is gone) Node leaves the question open for ever.
      const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
      const asked = terminal
        .question(plainText(question, process.stderr))
        .then((text) => (answer = text));
      try {
        return await Promise.race([asked, ended]);
      } catch (error) {
        // Ctrl-C and Ctrl-D count as an answer that does not agree.
        if (!(error instanceof Error && error.name === 'AbortError')) throw error;
        return '';
      } finally {
        if (answer === undefined) process.stderr.write('\n');
        terminal.close();
      }
    },
    openDatabase(onProgress = note) {
      const options = {
        ...openOptionsOf(flags, connection),
        openAtOnce: command.asksAtOnce,
        onProgress,
      };
      opening ??= open(options).then(
        (database) => (opened = database),
        (error: unknown) => {
          // The next call may try again.
          opening = undefined;
          throw error;
        },
      );
      return opening;
    },
    connections: () => connectionChoices(config, flags, connection, command),
  };
  return {
    context,
    async close() {
      bar.clear();
      const database = await opening?.catch(() => undefined);
      // Not waited for: the server ends a session whose client is gone, and no transaction is open by now. A statement that still runs is waited for.
      database?.close().catch(() => undefined);
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

/** The flags that say which database is opened, and how. */
type OpenFlags = PlaceFlags & {
  config?: string | undefined;
  schema?: string | undefined;
  poolSize?: number | undefined;
  readOnly: boolean;
};

/** How the database of flags and named connection is opened; flags win. */
function openOptionsOf(flags: OpenFlags, connection: NamedConnection | undefined): OpenOptions {
  return {
    url: flags.url ?? connection?.url,
    ...(connection && { origin: `config: ${connection.name}` as const }),
    envFile: flags.envFile ?? connection?.envFile,
    dataDir: flags.dataDir ?? connection?.dataDir,
    schema: flags.schema ?? connection?.schema,
    poolSize: flags.poolSize ?? connection?.poolSize,
    readOnly: flags.readOnly || connection?.readOnly,
    ...(connection?.production && { production: connection.name }),
    namedBy: namedBy(flags, connection),
  };
}

/** The flags that name the same database from any folder; undefined where its address or the environment names it. */
function namedBy(
  { config, demo, dataDir, envFile }: OpenFlags,
  connection: NamedConnection | undefined,
): string | undefined {
  const file = (name: string) => shellWord(path.resolve(name));
  if (connection) {
    const from = config === undefined ? '' : `--config ${file(config)} `;
    return `${from}--connection ${shellWord(connection.name)}`;
  }
  if (demo) return '--demo';
  if (dataDir !== undefined) return `--data-dir ${file(dataDir)}`;
  return envFile === undefined ? undefined : `--env-file ${file(envFile)}`;
}

/** The flags added to commands in printed texts. None for a database that the environment names: it names it there, too. */
function hintFlags(
  database: Database | undefined,
  flags: OpenFlags,
  connection: NamedConnection | undefined,
): string {
  const named = namedBy(flags, connection);
  if (database && (named ?? flags.url) !== undefined) return commandFlags(database);
  const schema = flags.schema === undefined ? '' : `--schema ${shellWord(flags.schema)}`;
  return [named, schema].filter(Boolean).join(' ');
}

/** No connection can be called by a command's word. */
const embedded = 'embedded';

/**
 * The databases that the console can be on, first the one that it is opened on: those of the config file, and the
 * embedded one. `--read-only` and `--pool-size` hold on each of them.
 *
 * @param connection the named connection that is used at first
 */
function connectionChoices(
  config: Config,
  flags: OpenFlags,
  connection: NamedConnection | undefined,
  { asksAtOnce }: Command,
): readonly [ConnectionChoice, ...ConnectionChoice[]] {
  const { readOnly, poolSize, config: file } = flags;
  const guards = { readOnly, poolSize, config: file };
  const first = choiceOf(config, flags, connection, asksAtOnce);
  const named = [...config.connections.values()]
    .filter((each) => each !== connection)
    .map((each) => choiceOf(config, guards, each));
  const folder = dataFolder();
  if (folder === undefined) return [first, ...named];
  const own: ConnectionChoice = {
    ...choiceOf(config, { ...guards, dataDir: folder }, undefined),
    name: embedded,
    description: `the embedded database in ${folder}`,
  };
  const isOwn = first.name === unnamed && isEmbedded(flags);
  return isOwn
    ? [{ ...first, name: own.name, description: own.description }, ...named]
    : [first, ...named, own];
}

function choiceOf(
  config: Config,
  flags: OpenFlags,
  connection: NamedConnection | undefined,
  openAtOnce?: number,
): ConnectionChoice {
  const options = openOptionsOf(flags, connection);
  const { intervalMs, windowMs } = spansFor(config, connection);
  return {
    name: connection?.name ?? unnamed,
    description: describePlace(options, flags.demo ?? false),
    badge: connection && badgeOf(connection),
    readOnly: options.readOnly ?? false,
    cadenceMs: intervalMs,
    windowMs,
    budgetUsdPerDay: config.budgetUsdPerDay,
    follow: options.readOnly ? undefined : followerOf(config, connection, options),
    open: (onProgress, answersWithinMs) =>
      open({ ...options, openAtOnce, onProgress, answersWithinMs }),
  };
}

/** Starts the collector, which outlives the console; where a database is told by neither of these there is none. */
function followerOf(
  { file }: Config,
  connection: NamedConnection | undefined,
  { url = process.env.DATABASE_URL, dataDir, envFile, schema }: OpenOptions,
): (() => Promise<void>) | undefined {
  const [, program] = process.argv;
  if (program === undefined) return undefined;
  const start = (target: CollectorTarget) => async () => {
    const { ensureCollector } = await import('../ingest/collector/collector.js');
    ensureCollector(target, program);
  };
  if (connection) return start({ kind: 'connection', name: connection.name, config: file });
  if (dataDir !== undefined) return start({ kind: 'folder', dataDir: path.resolve(dataDir) });
  if (envFile !== undefined) return undefined;
  if (url !== undefined) return start({ kind: 'url', url, schema });
  const folder = resolveSource().kind === 'embedded' ? dataFolder() : undefined;
  return folder === undefined ? undefined : start({ kind: 'folder', dataDir: folder });
}

/** Without the URL, which may hold a password: the screen has no use for it. */
function badgeOf({ name, production, colour }: NamedConnection): ConnectionBadge {
  return { name, production, colour };
}

function isEmbedded({ url, envFile, dataDir }: OpenFlags): boolean {
  const isNamed = url ?? envFile ?? dataDir;
  return isNamed === undefined && resolveSource().kind === 'embedded';
}

/** Where a database is, without any secret. */
function describePlace({ url, envFile, dataDir }: OpenOptions, isDemo: boolean): string {
  if (url !== undefined) return describeUrl(url);
  if (envFile !== undefined) return `as ${envFile} says`;
  if (isDemo) return "the demo's database";
  return dataDir === undefined ? 'as the environment says' : `the embedded database in ${dataDir}`;
}

function describeUrl(url: string): string {
  try {
    const { user, host, hostaddr, port, dbname, service } = parseConnectionString(url, 'url');
    if (service !== undefined) return `service ${service}`;
    const who = user === undefined ? '' : `${user}@`;
    const where = [host ?? hostaddr, port].filter((part) => part !== undefined).join(':');
    return `${who}${dbname ?? user ?? ''}${where === '' ? '' : ` on ${where}`}`;
  } catch {
    // Opening it says what is wrong.
    return 'a URL that cannot be read';
  }
}
