import type { EventSource } from './events.js';
import type { Json } from './rows.js';

/**
 * How two tellings of one thing are put together, so that neither the order in which they come nor a repetition makes a
 * difference. Of a more exact source more is believed: the transcript, which is written once, before telemetry, before
 * hooks.
 */

export const ranks: Readonly<Record<EventSource, number>> = {
  hook: 1,
  telemetry: 2,
  transcript: 3,
};

const names = ['hook', 'hook', 'telemetry', 'transcript'] as const;

/** The rank of a source as it is stored; 0: nobody has told. */
export function rankOf(from: unknown): number {
  return from === 'transcript' || from === 'telemetry' || from === 'hook' ? ranks[from] : 0;
}

export const sourceOf = (rank: number): EventSource => names[rank] ?? 'hook';

/** The one of two values that says more: the longer one, else always the same one. */
export function fuller<Value>(
  one: Value | null | undefined,
  other: Value | null | undefined,
): Value | null {
  if (one === null || one === undefined) return other ?? null;
  if (other === null || other === undefined || one === other) return one;
  if (typeof one === 'number' && typeof other === 'number') return one > other ? one : other;
  const [a, b] = [textOf(one), textOf(other)];
  if (a.length !== b.length) return a.length > b.length ? one : other;
  return a <= b ? one : other;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/** Key by key the fuller value. */
export function fullerOfEach(one: Json, other: Json): Json {
  const joined = new Map(Object.entries(one));
  for (const [key, value] of Object.entries(other)) joined.set(key, fuller(joined.get(key), value));
  return Object.fromEntries(joined);
}

export function without(json: Json, keys: readonly string[]): Json {
  if (keys.every((key) => !Object.hasOwn(json, key))) return json;
  return Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key)));
}

/** To which trace a row belongs, and how that is known. */
export type Placement = {
  traceId: string;
  agentId: string | null;
  /** 0: by the time alone. Else the source's rank, and before it whether the turn itself is meant. */
  level: number;
  at: number;
  /** Its source takes back where it put the row before. */
  isMoved?: boolean | undefined;
};

/**
 * How well a place is known. A source that names a subagent is less sure than one of the same rank that names none:
 * files of subagents repeat messages of the turn that started them.
 */
export function placeLevel(from: EventSource, byTime: boolean, isOfTurn: boolean): number {
  return byTime ? 0 : 2 * ranks[from] + (isOfTurn ? 1 : 0);
}

/** The better known place; of two the earlier one: what began in a turn belongs to it. */
export function betterPlace(one: Placement | undefined, other: Placement): Placement {
  if (one === undefined) return other;
  const isOfSameSource = one.level >> 1 === other.level >> 1;
  if (other.isMoved === true && isOfSameSource && one.traceId !== other.traceId) return other;
  if (one.level !== other.level) return one.level > other.level ? one : other;
  if (one.at !== other.at) return one.at < other.at ? one : other;
  return one.traceId <= other.traceId ? one : other;
}

/** A place as it is kept in a row's JSON. */
export function placedJson({ level, at }: Placement): Json {
  return level === 0 ? { byTime: true } : { placed: { level, at } };
}

/** @param data the JSON of a row in which its place is kept */
export function placedOf(
  data: Json,
  row: { trace_id: string; started_at: number; agent_id: string | null },
): Placement {
  const placed = data.placed as { level: number; at: number } | undefined;
  return {
    traceId: row.trace_id,
    agentId: row.agent_id,
    level: placed?.level ?? 0,
    at: placed?.at ?? row.started_at,
  };
}
