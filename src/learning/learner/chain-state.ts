import { createHash } from 'node:crypto';
import type { Turn } from './tree.js';

/** What is known of one sequence of agents. Times are milliseconds. */
export type ChainState = {
  agents: string[];
  depth: number;
  occurrences: number;
  good: number;
  totalMs: number;
  timed: number;
  overheadMs: number;
  intents: Counter;
  examples: string[];
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
};

export const mostExamples = 5;

/** The sequences of agents that are told apart: the first so many. */
const longestChain = 8;

/** Undefined for a turn of one agent. */
export function chainKey(turn: Turn): string | undefined {
  if (turn.depth === 0 || turn.agents.length < 2) return undefined;
  const agents = turn.agents.slice(0, longestChain);
  return createHash('sha1').update(JSON.stringify(agents)).digest('hex').slice(0, 32);
}

export function newChain(turn: Turn): ChainState {
  return {
    agents: turn.agents.slice(0, longestChain),
    depth: 0,
    occurrences: 0,
    good: 0,
    totalMs: 0,
    timed: 0,
    overheadMs: 0,
    intents: [],
    examples: [],
    firstAt: turn.startedAt,
    lastAt: turn.endedAt,
  };
}

/** @param intent what the chain was for, as the pattern names it */
export function addToChain(
  state: ChainState,
  turn: Turn,
  isGood: boolean,
  intent: string | null,
): void {
  state.depth = Math.max(state.depth, turn.depth);
  state.occurrences += 1;
  if (isGood) state.good += 1;
  if (turn.durationMs !== null && turn.durationMs >= 0) {
    state.timed += 1;
    state.totalMs += turn.durationMs;
    state.overheadMs += turn.overheadMs;
  }
  if (intent !== null) count(state.intents, intent, 8);
  state.examples = [...state.examples, turn.traceId].slice(-mostExamples);
  state.firstAt = Math.min(state.firstAt, turn.startedAt);
  state.lastAt = Math.max(state.lastAt, turn.endedAt);
}

/**
 * How often things occurred, the most frequent ones only: pairs, as JSON keeps them. Keys come from traces, so
 * they never become keys of an object.
 */
export type Counter = [key: string, count: number][];

const longestKey = 600;

/**
 * Counts a key. A full counter takes one from everybody instead, so that what occurs often stays
 * (Misra and Gries). The same keys in the same order give the same counter.
 */
export function count(counter: Counter, key: string, capacity: number, by = 1): void {
  const kept = key.length > longestKey ? key.slice(0, longestKey) : key;
  const found = counter.find(([known]) => known === kept);
  if (found) {
    found[1] += by;
    return;
  }
  if (counter.length < capacity) {
    counter.push([kept, by]);
    return;
  }
  for (let index = counter.length - 1; index >= 0; index -= 1) {
    const entry = counter[index];
    if (entry && --entry[1] <= 0) counter.splice(index, 1);
  }
}

/** The most frequent first; of equals the one that came first. */
export function ranked(counter: Counter): Counter {
  return counter.toSorted(([, one], [, other]) => other - one);
}

export function mostFrequent(counter: Counter): string | undefined {
  return ranked(counter)[0]?.[0];
}
