import { byOwnKey } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import type { Embedder } from '../embedding/embedder.js';

export type ToolContext = { database: Database; embedder: Embedder };

/** JSON Schema of one argument, as far as it is used here. */
export type Argument = {
  type: 'string' | 'integer';
  description: string;
  enum?: readonly string[];
};

export type Tool = {
  name: string;
  description: string;
  input: Readonly<Record<string, Argument>>;
  /** @throws ArgumentError, ConsoleError */
  run: (context: ToolContext, given: Readonly<Record<string, unknown>>) => Promise<object>;
};

/** What was asked cannot be answered as it was asked; the message says what can. */
export class ArgumentError extends Error {
  override readonly name = 'ArgumentError';
}

type Given = Readonly<Record<string, unknown>>;

const longestText = 4_000;

/** A text argument; null when it was not given. */
export function textOf(given: Given, name: string, longest = longestText): string | null {
  const value = byOwnKey(given, name);
  if (value === undefined || value === null || value === '') return null;
  // A NUL is in no text of the database.
  if (typeof value === 'string' && value.length <= longest && !value.includes('\0')) return value;
  throw new ArgumentError(`${name} is a text of at most ${longest} characters.`);
}

export function choiceOf<Choice extends string>(
  given: Given,
  name: string,
  choices: readonly Choice[],
): Choice | null {
  const value = textOf(given, name);
  if (value === null) return null;
  const found = choices.find((choice) => choice === value);
  if (found) return found;
  throw new ArgumentError(`${name} is one of ${choices.join(', ')}.`);
}

export function wholeOf(
  given: Given,
  name: string,
  { usual, least = 1, most }: { usual: number; least?: number; most: number },
): number {
  const value = byOwnKey(given, name) ?? usual;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) {
    return value;
  }
  throw new ArgumentError(`${name} is a whole number from ${least} to ${most}.`);
}

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

export function uuidOf(given: Given, name: string): string | null {
  const value = textOf(given, name);
  if (value === null || uuid.test(value)) return value;
  throw new ArgumentError(`${name} is a UUID, as list_traces gives it.`);
}

/** The pattern of a text that contains another, for ILIKE. */
export function containing(text: string | null): string | null {
  return text === null ? null : `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}

/** No answer takes longer than an agent waits. */
export const toolLimits = { statementTimeoutMs: 5_000, lockTimeoutMs: 500 };
