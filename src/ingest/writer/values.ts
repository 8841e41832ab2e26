import { types } from 'node:util';
import { byOwnKey, isUuid as isUuidText } from '../../core/values.js';
import { fieldLimit, redact, redactText } from '../redact.js';
import { name as boundedName } from '../rows.js';

/**
 * What callers give, as columns hold it: JavaScript gives anything, and nothing of it may throw or take long. Secrets are
 * taken out.
 */

/** JSON that is longer is kept as the beginning of its text (UTF-16 units): to write it, and to look for secrets at depth, takes time. */
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
    : (jsonText(value)?.written ?? '');
}

/** As JSON.stringify, or the beginning of that where it is long; undefined for what it cannot do: circles, what throws. */
function jsonText(value: unknown): { written: string; isCut: boolean } | undefined {
  try {
    if (isPlain(value, { left: longestJson }))
      return { written: JSON.stringify(value), isCut: false };
  } catch {
    // A circle of which nothing is counted: the copy finds it.
  }
  try {
    const copy = new BoundedCopy();
    const written = JSON.stringify(copy.of(value)) as string | undefined;
    return written === undefined ? undefined : { written, isCut: copy.isCut };
  } catch {
    return undefined;
  }
}

/** Whether it is short, and of what JSON writes as it is: of most values nothing has to be copied. */
function isPlain(value: unknown, budget: { left: number }): boolean {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    return (budget.left -= 1) >= 0;
  }
  if (typeof value === 'string') return (budget.left -= value.length + 2) >= 0;
  if (typeof value !== 'object' || (budget.left -= 2) < 0) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isPlain(item, budget)) return false;
    return true;
  }
  if (value instanceof Date) return true;
  if (value instanceof Error || ArrayBuffer.isView(value) || 'toJSON' in value) return false;
  // Each of its characters would be a key.
  if (value instanceof String) return false;
  for (const key in value) {
    const item = byOwnKey(value as Record<string, unknown>, key);
    if ((budget.left -= key.length) < 0) return false;
    if (item !== undefined && !isPlain(item, budget)) return false;
  }
  return true;
}

/**
 * As much of a value as the beginning of its JSON needs: of a Buffer of 5 MB JSON.stringify would write all, in the caller's path.
 * Also what JSON does not know: errors, bigints.
 */
class BoundedCopy {
  #left = longestJson;
  readonly #above = new Set<object>();

  get isCut(): boolean {
    return this.#left < 0;
  }

  /** @throws Error of a circle, and what throws when it is read */
  of(value: unknown, key = ''): unknown {
    if (typeof value === 'bigint') return this.of(String(value));
    if (typeof value === 'string') {
      const part = value.slice(0, Math.max(this.#left, 0));
      this.#left -= value.length;
      return part;
    }
    this.#left -= 1;
    if (typeof value !== 'object' || value === null) return value;
    if (this.isCut) return null;
    if (this.#above.has(value)) throw new Error('A circle.');
    this.#above.add(value);
    const copy = this.#ofObject(value, key);
    this.#above.delete(value);
    return copy;
  }

  #ofObject(value: object, key: string): unknown {
    if (Buffer.isBuffer(value))
      return { type: 'Buffer', data: this.#items(value.subarray(0, this.#left + 1)) };
    if (value instanceof Error) return this.#fields(errorFields(value));
    const { toJSON } = value as { toJSON?: unknown };
    const told: unknown = typeof toJSON === 'function' ? toJSON.call(value, key) : value;
    if (told !== value) return this.of(told, key);
    if (value instanceof Number || value instanceof String || value instanceof Boolean)
      return this.of(value.valueOf());
    if (Array.isArray(value)) return this.#items(value);
    // Their keys are their numbers, and would all be made.
    return this.#fields(
      types.isTypedArray(value) ? Object.assign({}, value.subarray(0, this.#left + 1)) : value,
    );
  }

  #items(values: Iterable<unknown>): unknown[] {
    const copy: unknown[] = [];
    for (const item of values) {
      if (this.isCut) break;
      copy.push(this.of(item, String(copy.length)));
    }
    return copy;
  }

  #fields(value: object): object {
    const copy: [string, unknown][] = [];
    for (const key in value) {
      if (this.isCut) break;
      if (!Object.hasOwn(value, key)) continue;
      this.#left -= key.length;
      copy.push([key, this.of(byOwnKey(value as Record<string, unknown>, key), key)]);
    }
    return Object.fromEntries(copy);
  }
}

const errorFields = ({ name, message }: Error) => ({ name, message });

export function json(value: unknown, limit = fieldLimit): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return text(value, limit);
  const told = jsonText(value);
  if (told === undefined) return '[no JSON]';
  const { written, isCut } = told;
  if (!isCut && written.length <= longestJson) return redact(JSON.parse(written), limit);
  const beginning = text(written, limit) ?? '';
  // How much the whole would have been nobody has counted.
  return isCut
    ? beginning.replace(/… \[\d+ more characters cut\]$/, '… [more characters cut]')
    : beginning;
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
