import { isUuid as isUuidText } from '../../core/values.js';
import { fieldLimit, redact, redactText } from '../redact.js';
import { name as boundedName } from '../rows.js';

/**
 * What callers give, as columns hold it: JavaScript gives anything, and nothing of it may throw or take long. Secrets are
 * taken out.
 */

/** JSON that is longer is kept as the beginning of its text (UTF-16 units): to look for secrets at depth takes time. */
const longestJson = 262_144;

export function text(value: unknown, limit = fieldLimit): string | null {
  if (value === undefined || value === null) return null;
  return redactText(typeof value === 'string' ? value : plain(value), limit).toWellFormed();
}

/** A text for an indexed column: bounded, never empty. */
export function label(value: unknown): string {
  return boundedName(text(value) ?? '');
}

export function labelOrNull(value: unknown): string | null {
  return value === undefined || value === null || value === '' ? null : label(value);
}

function plain(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint'
    ? String(value)
    : (jsonText(value) ?? '');
}

/** As JSON.stringify; undefined for what it cannot do: circles, what throws. */
function jsonText(value: unknown): string | undefined {
  try {
    // A replacer makes it several times slower: only where one is needed.
    if (!holdsError(value)) return JSON.stringify(value);
  } catch {
    // A bigint, or a circle.
  }
  try {
    return JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'bigint' ? String(item) : item instanceof Error ? errorFields(item) : item,
    );
  } catch {
    return undefined;
  }
}

/** It, or one of its own fields: JSON knows nothing of errors. */
function holdsError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Error || Object.values(value).some((item) => item instanceof Error);
}

const errorFields = ({ name, message }: Error) => ({ name, message });

export function json(value: unknown, limit = fieldLimit): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return text(value, limit);
  const written = jsonText(value);
  if (written === undefined) return '[no JSON]';
  if (written.length > longestJson) return text(written, limit);
  return redact(JSON.parse(written), limit);
}

export function jsonObject(value: unknown, limit?: number): Record<string, unknown> {
  const object = json(value, limit);
  if (object === null) return {};
  return typeof object === 'object' && !Array.isArray(object)
    ? (object as Record<string, unknown>)
    : { value: object };
}

const mostBigint = Number.MAX_SAFE_INTEGER;
const mostInteger = 2 ** 31 - 1;

/** A count, or null. */
export function whole(value: unknown, most = mostBigint): number | null {
  if (typeof value !== 'number' || Number.isNaN(value)) return null;
  return Math.round(Math.min(Math.max(value, 0), most));
}

/** May be negative, as exit codes are. */
export function integer(value: unknown): number | null {
  if (typeof value !== 'number' || Number.isNaN(value)) return null;
  return Math.round(Math.min(Math.max(value, -mostInteger), mostInteger));
}

export function share(value: unknown): number | null {
  if (typeof value !== 'number' || Number.isNaN(value)) return null;
  return Math.min(Math.max(value, 0), 1);
}

/** A cost that no column holds (US dollars) is none. */
const mostCost = 1e7;

export function cost(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 && value < mostCost ? value : null;
}

export const isUuid = (value: unknown): value is string =>
  typeof value === 'string' && isUuidText(value);

export type FailureColumns = { error_type: string | null; error_message: string | null };

/** Of an error that was thrown; anything can be, also what throws when it is read. */
export function failure(error: unknown): FailureColumns {
  if (error === undefined || error === null) return { error_type: null, error_message: null };
  try {
    if (!(error instanceof Error)) return { error_type: 'error', error_message: text(error) };
    const code = (error as { code?: unknown }).code;
    const type = typeof code === 'string' && code !== '' ? code : error.name;
    return { error_type: label(type), error_message: text(error.message) };
  } catch {
    return { error_type: 'error', error_message: null };
  }
}

export function stack(error: unknown): string | null {
  try {
    return error instanceof Error ? text(error.stack) : null;
  } catch {
    return null;
  }
}
