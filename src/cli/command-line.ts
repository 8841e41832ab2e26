import meow, { type AnyFlag } from 'meow';
import { didYouMean, nearestWord } from '../core/nearest.js';
import { byOwnKey } from '../core/values.js';
import { ConsoleError } from '../db/errors.js';
import {
  type Command,
  type CommandContext,
  type CommandEntry,
  consoleFlags,
  dashed,
  type FlagDeclaration,
  type FlagDeclarations,
  globalFlags,
} from './command.js';
import { commands } from './registry.js';

type Connections = Pick<ReadonlyMap<string, unknown>, 'has' | 'keys'>;

export type Invocation =
  | { kind: 'command'; entry: CommandEntry; argv: string[] }
  | { kind: 'help'; argv: readonly string[] }
  /** A group's name alone (`schema`), or an unknown word. */
  | { kind: 'group'; name: string }
  | { kind: 'unknown'; name: string; nearest: string | undefined }
  /** No command: the console, or one status without a terminal. */
  | { kind: 'none'; argv: readonly string[] };

/**
 * Finds the command in the arguments. Flags of every command may stand before its name, its own
 * flags behind it; before a command, or alone, the name of a connection.
 *
 * @param connections those of the config file, by name
 */
export function findCommand(
  argv: readonly string[],
  connections: Connections = new Map(),
): Invocation {
  const words = wordPositions(argv);
  const [first, second] = words;
  if (first === undefined) return { kind: 'none', argv };
  const one = argv[first] ?? '';
  // `help archive list` is `archive list --help`.
  if (one === 'help') return { kind: 'help', argv: argv.filter((_, i) => i !== first) };
  if (connections.has(one)) {
    return findCommand(['--connection', one, ...argv.filter((_, i) => i !== first)]);
  }
  const two = second === undefined ? one : `${one} ${argv[second] ?? ''}`;
  for (const [name, used] of [
    [two, [first, second]],
    [one, [first]],
  ] as const) {
    const entry = commands.find((candidate) => candidate.name === name);
    if (entry) return { kind: 'command', entry, argv: argv.filter((_, i) => !used.includes(i)) };
  }
  const isGroup = commands.some((candidate) => candidate.name.startsWith(`${one} `));
  if (isGroup && second === undefined) return { kind: 'group', name: one };
  const name = isGroup ? two : one;
  return { kind: 'unknown', name, nearest: nearestCommand(name, connections.keys()) };
}

/** What was most likely meant: a command, a group of commands, or a connection. */
function nearestCommand(typed: string, connections: Iterable<string>): string | undefined {
  const names = commands.flatMap(({ name }) => [name, name.split(' ')[0] ?? name]);
  return nearestWord(typed, [...names, 'help', ...connections]);
}

/** Positions of the first two arguments that are neither flags nor values of a flag that may stand before them. */
function wordPositions(argv: readonly string[]): number[] {
  const positions: number[] = [];
  for (let index = 0; index < argv.length && positions.length < 2; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (!word.startsWith('-')) positions.push(index);
    else if (takesValue(word)) index += 1;
  }
  return positions;
}

function takesValue(word: string): boolean {
  const name = word
    .replace(/^--/, '')
    .replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const flag = byOwnKey<FlagDeclarations>({ ...globalFlags, ...consoleFlags }, name);
  return flag !== undefined && flag.type !== 'boolean';
}

/**
 * The flags and arguments of one command; help and version were answered before.
 *
 * @throws ConsoleError `usage`
 */
export function parseCommand(
  command: Command,
  argv: readonly string[],
): Pick<CommandContext<FlagDeclarations>, 'flags' | 'input'> {
  const flags: FlagDeclarations = { ...globalFlags, ...command.flags };
  const normal = normaliseFlags(flags, argv, command.name);
  const { flags: values, input } = askMeow(command, flags, normal);
  const allowed = command.inputs ?? 0;
  if (input.length > allowed) throw usage(command, `Unexpected argument: ${input[allowed] ?? ''}`);
  for (const [name, flag] of Object.entries(flags)) {
    const value = byOwnKey(values, name);
    if (value === undefined || flag.type === 'boolean') continue;
    const given: unknown[] = Array.isArray(value) ? value : [value];
    if (flag.type === 'number' && !given.every(Number.isFinite)) {
      throw usage(command, `${dashed(name)} takes a number.`);
    }
    const isOptional = flag.value?.startsWith('[') === true;
    if (!isOptional && given.includes('')) throw usage(command, `${dashed(name)} needs a value.`);
  }
  return { flags: values as CommandContext<FlagDeclarations>['flags'], input };
}

function askMeow(command: Command, flags: FlagDeclarations, argv: readonly string[]) {
  try {
    return meow({
      importMeta: import.meta,
      argv: [...argv],
      autoHelp: false,
      autoVersion: false,
      allowUnknownFlags: false,
      pkg: { name: 'trace-console' },
      flags: Object.fromEntries(
        Object.entries(flags).map(([name, flag]) => [name, forMeow(flag)]),
      ) as Record<string, AnyFlag>,
    });
  } catch (cause) {
    throw usage(command, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function usage(command: Command, message: string, cause?: unknown): ConsoleError {
  return new ConsoleError('usage', message, {
    hint: `See: trace-console ${command.name} --help`,
    cause,
  });
}

function forMeow(flag: FlagDeclaration) {
  const { type, shortFlag, multiple } = flag;
  return {
    type,
    ...(shortFlag === undefined ? {} : { shortFlag }),
    ...(multiple ? { isMultiple: true as const, default: [] } : {}),
    ...(type === 'boolean' && !multiple ? { default: false } : {}),
  };
}

const yes = ['true', '1', 'yes', 'on'];
const no = ['false', '0', 'no', 'off'];

/** The words before `--`, behind which nothing is a flag. */
function flagWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

/**
 * `--help` or `--version` wherever it is among the flags, instead of a run: `archive --yes --help` must
 * not archive. meow itself heeds these only where they stand alone.
 */
export function askedInstead(argv: readonly string[]): 'help' | 'version' | undefined {
  const words = new Set(flagWords(argv));
  if (words.has('--help') || words.has('-h')) return 'help';
  return words.has('--version') || words.has('-v') ? 'version' : undefined;
}

/** Whether the result is printed as JSON, and so the error that stands in its place. */
export function asksForJson(argv: readonly string[]): boolean {
  return flagWords(argv).some((word) => {
    const [name, value] = split(word);
    return name === '--json' && (value === undefined || yes.includes(value.toLowerCase()));
  });
}

/** The value of `--config`, which counts before anything else is understood. */
export function configFlag(argv: readonly string[]): string | undefined {
  const words = flagWords(argv);
  const index = words.findIndex((word) => split(word)[0] === '--config');
  const [, value] = split(words[index] ?? '');
  return index === -1 ? undefined : (value ?? words[index + 1]);
}

/**
 * The arguments in the one form that the parser reads right: `--json=1` becomes `--json`, and
 * `--at -2h` becomes `--at=-2h`.
 *
 * @throws ConsoleError `usage` for a flag that is unknown, with the nearest one there is
 */
function normaliseFlags(
  flags: FlagDeclarations,
  argv: readonly string[],
  commandName: string,
): string[] {
  const known = new Map(Object.entries(flags).map(([name, flag]) => [dashed(name), flag]));
  const short = new Map(
    Object.values(flags).flatMap((flag) => (flag.shortFlag ? [[`-${flag.shortFlag}`, flag]] : [])),
  );
  const result: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') return [...result, ...argv.slice(index)];
    const [name, value] = split(word);
    if (!word.startsWith('-') || word === '-') {
      result.push(word);
      continue;
    }
    const flag = known.get(name) ?? short.get(name);
    if (!flag) throw unknownFlag(name, [...known.keys()], commandName);
    if (flag.type === 'boolean') {
      if (isOn(name, value)) result.push(name);
      continue;
    }
    const next = argv[index + 1];
    const takesNext = value === undefined && next !== undefined && /^-[\d.]/.test(next);
    result.push(takesNext ? `${name}=${next}` : word);
    if (takesNext) index += 1;
  }
  return result;
}

function isOn(name: string, value: string | undefined): boolean {
  if (value === undefined || yes.includes(value.toLowerCase())) return true;
  if (no.includes(value.toLowerCase())) return false;
  throw new ConsoleError('usage', `${name} is on or off, not "${value}".`, {
    hint: `Give ${name} alone, or ${name}=true or ${name}=false.`,
  });
}

function unknownFlag(name: string, names: readonly string[], commandName: string): ConsoleError {
  const help = `trace-console ${commandName} --help lists the flags.`;
  return new ConsoleError('usage', `Unknown flag: ${name}`, {
    hint: `${didYouMean(name, names)}${help}`,
  });
}

function split(word: string): [name: string, value: string | undefined] {
  const at = word.indexOf('=');
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
