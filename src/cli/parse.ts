import meow, { type AnyFlag } from 'meow';
import { ConsoleError } from '../db/errors.js';
import {
  consoleFlags,
  dashed,
  globalFlags,
  type Command,
  type CommandContext,
  type FlagDeclaration,
  type FlagDeclarations,
} from './command.js';
import { commands, type CommandEntry } from './registry.js';

export type Invocation =
  | { kind: 'command'; entry: CommandEntry; argv: string[] }
  /** A group's name alone (`schema`), or an unknown word. */
  | { kind: 'group'; name: string }
  | { kind: 'unknown'; name: string }
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
  connections: Pick<ReadonlySet<string>, 'has'> = new Set(),
): Invocation {
  const words = wordPositions(argv);
  const [first, second] = words;
  if (first === undefined) return { kind: 'none', argv };
  const one = argv[first] ?? '';
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
  return { kind: isGroup && second === undefined ? 'group' : 'unknown', name: isGroup ? two : one };
}

/** The value of `--config`, which counts before anything else is understood. */
export function configFlag(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((word) => word === '--config' || word.startsWith('--config='));
  const word = argv[index];
  if (word === undefined) return undefined;
  return word === '--config' ? argv[index + 1] : word.slice('--config='.length);
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
  const flag = ({ ...globalFlags, ...consoleFlags } as FlagDeclarations)[name];
  return flag !== undefined && flag.type !== 'boolean';
}

/**
 * The flags and arguments of one command. meow names unknown flags by itself and ends the
 * process with exit code 2; help and version were answered before.
 *
 * @throws ConsoleError `usage`
 */
export function parseCommand(
  command: Command,
  argv: readonly string[],
): Pick<CommandContext<FlagDeclarations>, 'flags' | 'input'> {
  const flags: FlagDeclarations = { ...globalFlags, ...command.flags };
  const { flags: values, input } = askMeow(command, flags, argv);
  const allowed = command.inputs ?? 0;
  if (input.length > allowed) throw usage(command, `Unexpected argument: ${input[allowed] ?? ''}`);
  for (const [name, flag] of Object.entries(flags)) {
    const value = values[name];
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
