import { ConsoleError } from '../db/errors.js';

/** Ids of traces as arguments. @throws ConsoleError `usage` */
export function treeIds(input: readonly string[]): string[] {
  return input.map((text) => {
    if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return text.toLowerCase();
    throw new ConsoleError('usage', `"${text}" is no id of a trace.`, {
      hint: 'An id is a UUID; trace-console archive list shows them.',
    });
  });
}

/** Exactly one of the ways to say which trees. @throws ConsoleError `usage` */
export function oneOf(ways: Readonly<Record<string, boolean>>): void {
  const names = Object.keys(ways);
  if (names.filter((name) => ways[name]).length === 1) return;
  throw new ConsoleError('usage', `Which trees? Give one of: ${names.join(', ')}.`);
}
