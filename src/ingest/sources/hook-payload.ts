import { parseExactJson, roundedNumber } from '../../core/exact-json.js';
import { byOwnKey, isObject, readNumber } from '../../core/values.js';
import { createHash } from 'node:crypto';
import type { AgentEvent, EventBase, Failure, Noted } from '../events.js';
import { atMsOf, type SpoolRecord } from '../spool/frame.js';

/** What a hook was given: unknown until looked at. */
export type Payload = Readonly<Record<string, unknown>>;

/** One record of the spool, for the adapter of its CLI. */
export type HookInput = {
  record: SpoolRecord;
  payload: Payload;
  /** For CLIs whose tool calls carry no id. */
  pairs: ToolPairs;
};

/**
 * Makes events of what one CLI's hooks tell.
 *
 * @returns undefined for an event that it does not know; an empty list for one that says nothing new
 */
export type HookAdapter = (input: HookInput) => readonly AgentEvent[] | undefined;

export function textOf(payload: Payload, ...keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = byOwnKey(payload, key);
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

export function numberOf(payload: Payload, ...keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = roundedNumber(byOwnKey(payload, key));
    if (typeof value === 'number' && Number.isFinite(value)) return value;
  }
  return undefined;
}

export function objectOf(payload: Payload, key: string): Payload | undefined {
  const value = byOwnKey(payload, key);
  return isObject(value) ? value : undefined;
}

/** A value that some CLIs send as JSON in a text. */
export function parsedText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return parseExactJson(value);
  } catch {
    return value;
  }
}

/** The payload without what every event has: what is particular to this one. */
export function otherFields(payload: Payload, known: ReadonlySet<string>): Payload | undefined {
  const rest = Object.entries(payload).filter(([key]) => !known.has(key));
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

const dayMs = 86_400_000;

/** The time that the CLI gives (ISO 8601, or milliseconds), where it is about that of the receipt; else the latter. */
export function timeOf(record: SpoolRecord, given: unknown): number {
  const received = atMsOf(record);
  const told = typeof given === 'string' ? Date.parse(given) : roundedNumber(given);
  return typeof told === 'number' && Math.abs(told - received) < dayMs ? told : received;
}

/** How far apart (ms) the same event may come from two settings files that both have the hook. */
const sameWithinMs = 5_000;

/** A note. The same words within a moment are one note, because two settings files may hold the hook. */
export function noteOf(
  base: EventBase,
  event: string,
  said: Pick<Noted, 'text' | 'data' | 'durationMs'>,
): Noted {
  const words = [
    event,
    base.turn,
    base.subagent,
    said.text,
    said.data,
    Math.floor(base.at / sameWithinMs),
  ];
  const id = createHash('sha1').update(JSON.stringify(words)).digest('hex');
  return { kind: 'note', ...base, event, id, ...said };
}

/** An error in words, and the exit code that CLIs put into the first line. */
export function failureOf(
  type: string,
  message: string | undefined,
): { error: Failure; exitCode?: number } {
  const [, code] = /^(?:Error: )?Exit code:? (-?\d+)/i.exec(message ?? '') ?? [];
  return {
    error: { type, message },
    ...(code === undefined ? {} : { exitCode: readNumber(code) }),
  };
}

/** Longer durations (ms) are not believed: an agent waits for nothing that long. */
const longestMs = 30 * 86_400_000;

/** Start and length of a call whose end has come. */
export function spanOf(
  at: number,
  durationMs: number | undefined,
): { startedAt?: number; durationMs?: number } {
  if (durationMs === undefined || durationMs < 0 || durationMs > longestMs) return {};
  return { startedAt: at - durationMs, durationMs: Math.round(durationMs) };
}

/**
 * Times (ms) at which calls of one tool with one input began and ended, the oldest first; and how many came before those
 * that are kept.
 */
type Times = { starts: number[]; ends: number[]; before?: { starts: number; ends: number } };

/** As it is stored: by session, the one that was heard of last at the end; then by tool and input. */
export type StoredPairs = [session: string, calls: [key: string, times: Times][]][];

/** So many times of the same call are kept; those before are counted. */
const mostTimes = 50;
/** Different calls that are kept of a session, and of all sessions together. */
const mostCalls = { ofSession: 3_000, ofAll: 5_000 };

/**
 * Gives tool calls and prompts an id where the CLI gives none: the first end of a tool with some input belongs to its first start, and
 * so on. An event that comes twice, with the same time, is the same. A session may be resumed after its end, and counts on then.
 * Who keeps it between batches writes it with the rows.
 */
export class ToolPairs {
  readonly #sessions = new Map<string, Map<string, Times>>();
  #isChanged = false;

  constructor(stored: StoredPairs = []) {
    for (const [session, calls] of stored) {
      const byKey = calls.map(([key, times]) => [key.slice(0, keyLength), times] as const);
      this.#sessions.set(session, new Map(byKey));
    }
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  startOf(session: string, tool: string, input: unknown, at: number): string {
    return this.#idOf('starts', session, tool, input, at);
  }

  endOf(session: string, tool: string, input: unknown, at: number): string {
    return this.#idOf('ends', session, tool, input, at);
  }

  /** The id of a prompt, by its words: blanks differ between what a hook and what a transcript is given. */
  promptOf(session: string, text: string, at: number): string {
    return this.#idOf('starts', session, 'prompt', text.replaceAll(/\s+/g, ''), at);
  }

  /** Without the sessions that were not heard of for longest, where they are too many. */
  stored(): StoredPairs {
    const kept: StoredPairs = [];
    let calls = 0;
    for (const [session, byKey] of [...this.#sessions].toReversed()) {
      calls += byKey.size;
      if (calls > mostCalls.ofAll && kept.length > 0) break;
      kept.unshift([session, [...byKey]]);
    }
    return kept;
  }

  #idOf(
    side: 'starts' | 'ends',
    session: string,
    tool: string,
    input: unknown,
    at: number,
  ): string {
    const key = createHash('sha1')
      .update(JSON.stringify([tool, input ?? null]))
      .digest('hex')
      .slice(0, keyLength);
    const times = this.#timesOf(session, key);
    let index = times[side].indexOf(at);
    const before = times.before?.[side] ?? 0;
    if (index === -1) {
      index = times[side].push(at) - 1;
      this.#isChanged = true;
    }
    const number = before + index;
    if (times[side].length > mostTimes) {
      times[side].shift();
      times.before = { starts: 0, ends: 0, ...times.before, [side]: before + 1 };
    }
    return `${tool}-${key}-${number}`;
  }

  /** Of one call in one session; both are the latest from now on. */
  #timesOf(session: string, key: string): Times {
    const calls = this.#sessions.get(session) ?? new Map<string, Times>();
    const times = calls.get(key) ?? { starts: [], ends: [] };
    this.#sessions.delete(session);
    this.#sessions.set(session, calls);
    calls.delete(key);
    calls.set(key, times);
    const [oldest] = calls.keys();
    if (calls.size > mostCalls.ofSession && oldest !== undefined) calls.delete(oldest);
    return times;
  }
}

const keyLength = 16;
