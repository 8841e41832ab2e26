import { intervalText, parseDuration, spanHint } from '../core/format/time.js';
import type { Database } from '../db/database.js';
import { readWindow, windowRange } from '../panes/reading/windows.js';
import { ConsoleError, type ExitCode } from '../db/errors.js';
import { canPaint } from '../terminal/support.js';
import type { ConnectionChoice } from '../ui/context.js';
import type { Settings } from './config/settings.js';

/** One flag of a command, by its camelCase name: `olderThan` is given as `--older-than`. */
export type FlagDeclaration = {
  type: 'boolean' | 'string' | 'number';
  /** One line for --help. */
  description: string;
  /** How the value is called in --help: `--url URL`. */
  value?: string;
  /** May be given several times; the command gets an array. */
  multiple?: true;
  shortFlag?: string;
  /** What the value may be, for completion; read when it is asked for. */
  values?: () => Promise<readonly string[]>;
};

export type FlagDeclarations = Readonly<Record<string, FlagDeclaration>>;

type ValueOf<Flag extends FlagDeclaration> = Flag['type'] extends 'boolean'
  ? boolean
  : Flag['type'] extends 'number'
    ? number
    : string;

/** What a command gets for its declarations; a flag that was not given is undefined, or false. */
export type FlagValues<Flags extends FlagDeclarations> = {
  [Name in keyof Flags]: Flags[Name]['multiple'] extends true
    ? ValueOf<Flags[Name]>[]
    : Flags[Name]['type'] extends 'boolean'
      ? boolean
      : ValueOf<Flags[Name]> | undefined;
};

/** What every command may use; the process itself in production, buffers in tests. */
export type CommandContext<Flags extends FlagDeclarations> = {
  flags: FlagValues<Flags & typeof globalFlags>;
  /** Arguments behind the command's name. */
  input: readonly string[];
  /** Whether a person can answer a question: stdin and stdout are terminals. */
  interactive: boolean;
  /**
   * Ends when the command is interrupted (Ctrl-C, SIGTERM). A command that never reads it is ended by
   * the signal itself; one that does must stop by itself.
   */
  signal: AbortSignal;
  /** Every command there is. */
  commands: readonly CommandEntry[];
  /** What the config file says, and the connection that is used. */
  settings: Settings;
  /** A text in which each command leads to the database of this one, where flags have named it. */
  hint: (text: string) => string;
  /** A line of the result, to stdout. */
  print: (line: string) => void;
  /** A line about the work, to stderr; silent with --json, where only the result counts. */
  note: (line: string) => void;
  /**
   * How far the work is, as `note`; on a terminal one line with a bar, in the place of the one before.
   *
   * @param share of the work, 0..1; undefined: nobody knows
   */
  progress: (line: string, share?: number) => void;
  /** Asks on the terminal; the answer without its line end, empty after Ctrl-C or Ctrl-D. */
  ask: (question: string) => Promise<string>;
  /**
   * Opens the database that the flags and the environment name; it is closed after the command.
   * `onProgress` gets a line while the embedded one starts; default: `note`.
   */
  openDatabase: (onProgress?: (line: string) => void) => Promise<Database>;
  /** The databases that the console can be on, first the one that `openDatabase` opens. */
  connections: () => readonly [ConnectionChoice, ...ConnectionChoice[]];
};

/** A subcommand: one file in commands/. */
export type Command<Flags extends FlagDeclarations = FlagDeclarations> = {
  /** As typed, `schema apply`. */
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** Behind the name in the usage line, `[--yes] [FILE]`. */
  usage?: string;
  /** Paragraphs between usage and flags; a function where these need what a start does without. */
  description?: string | (() => Promise<string>);
  flags: Flags;
  examples?: readonly string[];
  /** How many arguments it takes at most; default 0. */
  inputs?: number;
  /** What the first argument may be, for completion. */
  inputValues?: readonly string[];
  /** Whether it prints a file for another program, so that nothing of it is wrapped or replaced for the terminal. */
  printsFile?(flags: FlagValues<Flags>): boolean;
  /** It draws the whole screen: signals and the way out are its own. */
  ownsTerminal?: true;
  /** So many statements it has at work as soon as the database is open: as many connections are opened at once. Default 1. */
  asksAtOnce?: number;
  run: (context: CommandContext<Flags>) => Promise<ExitCode>;
};

/** A command before its code is loaded: only the one that runs costs its start. */
export type CommandEntry = {
  name: string;
  summary: string;
  load: () => Promise<Command>;
};

/** They look at this machine, or at no database. */
const withoutDatabase = /^(?:hooks? ?|completion|man|keys|replay|schema bundle|embedded )/;

/** The commands that a hint must lead to the database it is about, by their names. */
export function commandsOfDatabase(commands: readonly CommandEntry[]): ReadonlySet<string> {
  return new Set(commands.map(({ name }) => name).filter((name) => !withoutDatabase.test(name)));
}

/** Gives a command its flags' types. */
export function defineCommand<const Flags extends FlagDeclarations>(
  command: Command<Flags>,
): Command<Flags> {
  return command;
}

/** Flags that every command takes. */
export const globalFlags = {
  url: {
    type: 'string',
    value: 'URL',
    description: 'the database: postgresql://user@host:port/database, or "host=… dbname=…"',
  },
  envFile: {
    type: 'string',
    value: 'FILE',
    description: 'read connection variables from this file, before the environment',
  },
  connection: {
    type: 'string',
    value: 'NAME',
    description: 'a connection of the config file; "trace-console NAME" opens the console on it',
  },
  config: {
    type: 'string',
    value: 'FILE',
    description: 'the config file; default: trace-console/config.toml in the XDG config folder',
  },
  dataDir: {
    type: 'string',
    value: 'FOLDER',
    description: 'use the embedded database in this folder',
  },
  demo: {
    type: 'boolean',
    description: "use the demo's own embedded database; the console makes traffic in it",
  },
  schema: {
    type: 'string',
    value: 'NAME',
    description: 'target schema; default: the first of search_path',
  },
  poolSize: { type: 'number', value: 'N', description: 'connections at most, 5 to 20; default 5' },
  readOnly: { type: 'boolean', description: 'change nothing; refuse every action that would' },
  json: { type: 'boolean', description: 'print the result as JSON' },
} as const satisfies FlagDeclarations;

/** Of the commands that draw the screen. */
export const screenFlags = {
  screenReader: {
    type: 'boolean',
    description:
      'tell changes in plain lines, nothing painted; also with TRACE_CONSOLE_SCREEN_READER=1',
  },
} as const satisfies FlagDeclarations;

/** The console's own flags: known here because its name may be left out before them. */
export const consoleFlags = {
  pane: {
    type: 'string',
    value: 'ID',
    description: 'the pane that is focused, as status lists them',
    values: async () => (await import('../panes/registry.js')).paneIds,
  },
  trace: { type: 'string', value: 'ID', description: 'open this trace; its first 4 digits do' },
  window: { type: 'string', value: 'TIME', description: 'for example 15m, 6h, 7d; default 1h' },
  at: {
    type: 'string',
    value: 'MOMENT',
    description: 'where the windows end, for example "yesterday 14:05" or "2h ago"; default now',
  },
  theme: {
    type: 'string',
    value: 'NAME',
    description: 'terminal, dark, light, high-contrast or none',
    values: async () => (await import('../ui/theme.js')).themeNames,
  },
  record: {
    type: 'string',
    value: 'FILE',
    description: 'record what is shown, prompts too; "trace-console replay FILE" plays it',
  },
  ...screenFlags,
} as const satisfies FlagDeclarations;

/** `olderThan` → `--older-than` */
export function dashed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The flags of every command that compares prompts. */
export const embeddingFlags = {
  embedding: {
    type: 'string',
    value: 'WHICH',
    description: 'hash (default), the URL of an OpenAI-compatible endpoint, or local:FOLDER',
  },
  embeddingModel: {
    type: 'string',
    value: 'NAME',
    description: "the endpoint's model, as text-embedding-3-small",
  },
} as const satisfies FlagDeclarations;

type Asked = { screenReader: boolean };

/** Whether changes are told in lines instead of being painted: by the flag, or for all programs' starts. */
export function isLinear({ screenReader }: Asked, environment: NodeJS.ProcessEnv): boolean {
  const { TRACE_CONSOLE_SCREEN_READER: always = '' } = environment;
  return screenReader || !['', '0', 'false', 'no', 'off'].includes(always.toLowerCase());
}

/**
 * How the screen is drawn on this terminal.
 * @throws ConsoleError `usage` where it cannot be
 */
export function screenOptions(
  flags: Asked,
  interactive: boolean,
  environment: NodeJS.ProcessEnv = process.env,
): { isLinear: boolean } {
  const isTold = isLinear(flags, environment);
  if (interactive && (isTold || canPaint(environment))) return { isLinear: isTold };
  throw new ConsoleError(
    'usage',
    interactive ? 'This terminal cannot be painted (TERM=dumb).' : 'This needs a terminal.',
    {
      hint: 'trace-console status prints the figures once; --screen-reader tells changes in lines.',
    },
  );
}

export const exitCodesText =
  'Exit codes: 0 ok, 1 problems found or no such thing in the database, 2 wrong usage, 3 cannot connect, 4 refused.';

export const sourcesText = [
  'The database is the first of: --url, DATABASE_URL, TRACEABILITY_DB_URL_EXTERNAL,',
  'TRACEABILITY_DB_URL, PG* (libpq), POSTGRES_*, the embedded database.',
].join('\n');

/** Paragraphs of its help; undefined: its summary says it all. */
export async function descriptionOf({ description }: Command): Promise<string | undefined> {
  return typeof description === 'function' ? description() : description;
}

/** The text of `trace-console COMMAND --help`. */
export async function commandHelp(command: Command): Promise<string> {
  const usage = ['trace-console', command.name, command.usage].filter(Boolean).join(' ');
  const own =
    Object.keys(command.flags).length > 0 ? ['', 'Flags:', ...flagLines(command.flags)] : [];
  const examples = command.examples?.length
    ? ['', 'Examples:', ...command.examples.map((line) => `  ${line}`)]
    : [];
  return [
    `Usage: ${usage}`,
    '',
    (await descriptionOf(command)) ?? sentence(command.summary),
    ...own,
    '',
    'Flags of every command:',
    ...flagLines(globalFlags),
    ...examples,
    '',
    exitCodesText,
  ].join('\n');
}

/** The text of `trace-console --help`, or of one group of commands. */
export function overviewHelp(commands: readonly CommandEntry[], group?: string): string {
  const listed = commands.filter(({ name }) => group === undefined || name.startsWith(`${group} `));
  const width = Math.max(...listed.map(({ name }) => name.length));
  return [
    `Usage: trace-console ${group ?? '[COMMAND]'} [FLAGS]`,
    '',
    ...(group === undefined
      ? [
          'Without a command it opens the live console; without a terminal it prints one status.',
          '',
        ]
      : []),
    'Commands:',
    ...listed.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Flags of every command:',
    ...flagLines(globalFlags),
    ...flagLines({
      help: { type: 'boolean', description: 'show help, also of one command' },
      version: { type: 'boolean', description: 'show the version (-v)' },
    }),
    '',
    sourcesText,
    '',
    exitCodesText,
  ].join('\n');
}

function flagLines(flags: FlagDeclarations): string[] {
  const named = Object.entries(flags).map(([name, flag]) => ({
    left: [dashed(name), flag.value].filter(Boolean).join(' '),
    right: flag.description,
  }));
  const width = Math.max(...named.map(({ left }) => left.length));
  return named.map(({ left, right }) => `  ${left.padEnd(width)}  ${right}`);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/**
 * The span of time that a flag was given: `90d` → 7,776,000,000 ms, `90 days`.
 *
 * @throws ConsoleError `usage`
 */
export function parseAge(text: string, flag: string): { interval: string; milliseconds: number } {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) {
    throw new ConsoleError('usage', `${flag} does not understand "${text}".`, { hint: spanHint });
  }
  return { interval: intervalText(milliseconds), milliseconds };
}

/**
 * The value of `--window`, in milliseconds.
 *
 * @throws ConsoleError `usage` for what is no time, and for one that the panes cannot show
 */
export function parseWindow(text: string): number {
  const windowMs = readWindow(text);
  if (windowMs !== undefined) return windowMs;
  throw new ConsoleError('usage', `--window does not take "${text}".`, {
    hint: `Give ${windowRange}.`,
  });
}

let tellKept: () => void;

/** How far the start is, for the launcher: it keeps what is compiled by then, and tells when there is nothing more to keep. */
export const progress: {
  command: string | undefined;
  isOpen: boolean;
  /** From then on flags of V8 may change: at the next start it would refuse code that was kept under other flags. */
  isKept: Promise<void>;
  tellKept: () => void;
} = {
  command: undefined,
  isOpen: false,
  isKept: new Promise((resolve) => (tellKept = resolve)),
  tellKept: () => tellKept(),
};
