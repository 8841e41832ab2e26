import { ConsoleError, type ErrorCode } from '../../db/errors.js';

/**
 * Values of the state as JSON: dates, errors, maps, sets and the numbers JSON does not know are objects
 * with a `$`, which no row has as a column; one that had is wrapped itself.
 */
export function encodeValue(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? value : { $: 'number', v: String(value) };
  }
  if (typeof value === 'bigint') return { $: 'bigint', v: String(value) };
  if (Array.isArray(value)) return value.map(encodeValue);
  if (value instanceof Date) return { $: 'date', v: value.getTime() };
  if (value instanceof Map) return { $: 'map', v: [...value].map(encodeValue) };
  if (value instanceof Set) return { $: 'set', v: [...value].map(encodeValue) };
  if (value instanceof ConsoleError) {
    const { code, message, hint, sqlState } = value;
    return { $: 'error', v: { code, message, hint, sqlState } };
  }
  if (typeof value !== 'object') return undefined;
  const entries = Object.entries(value).map(([key, each]) => [key, encodeValue(each)] as const);
  const plain = Object.fromEntries(entries.filter(([, each]) => each !== undefined));
  return '$' in plain ? { $: 'object', v: plain } : plain;
}

/** What {@link encodeValue} made, as it was. */
export function decodeValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeValue);
  if (typeof value !== 'object' || value === null) return value;
  return '$' in value ? decodeTagged(value) : decodeEntries(value);
}

type Tagged = { $: unknown; v?: unknown };

function decodeTagged({ $: kind, v: content }: Tagged): unknown {
  switch (kind) {
    case 'number':
      return Number(content);
    case 'bigint':
      return BigInt(String(content));
    case 'date':
      return new Date(Number(content));
    case 'map':
      return new Map(decodeValue(content) as [unknown, unknown][]);
    case 'set':
      return new Set(decodeValue(content) as unknown[]);
    case 'error':
      return decodeError(content as Partial<Record<string, string>>);
    case 'object':
      return decodeEntries(content as object);
    default:
      throw new TypeError(`a value of an unknown kind: ${String(kind)}`);
  }
}

function decodeEntries(content: object): object {
  return Object.fromEntries(Object.entries(content).map(([key, each]) => [key, decodeValue(each)]));
}

function decodeError({ code, message, hint, sqlState }: Partial<Record<string, string>>) {
  return new ConsoleError((code ?? 'internal') as ErrorCode, message ?? '', {
    ...(hint === undefined ? {} : { hint }),
    ...(sqlState === undefined ? {} : { sqlState }),
  });
}
