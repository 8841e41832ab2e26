import { safeBlock } from '../terminal/sanitise.js';

/**
 * A text that may hold names and messages of the database, for a terminal: without control and
 * escape sequences, whole, with its line breaks.
 */
export function safeText(text: string): string {
  return safeBlock(text, { limit: Number.POSITIVE_INFINITY });
}

/** JSON.stringify leaves DEL and the C1 controls as they are, which some terminals obey. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
