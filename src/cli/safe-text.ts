import { exactJson } from '../core/exact-json.js';
import { safeBlock } from '../terminal/sanitise.js';

/**
 * A text that may hold names and messages of the database, for a terminal: without control and
 * escape sequences, whole, with its line breaks.
 */
export function safeText(text: string): string {
  return safeBlock(text, { limit: Number.POSITIVE_INFINITY });
}

/**
 * JSON leaves DEL and the C1 controls as they are, which some terminals obey, and the marks
 * that turn the direction of a line.
 */
export function safeJson(value: unknown, indent?: number): string {
  return exactJson(value, indent).replace(
    /[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
