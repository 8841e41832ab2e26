import { createHash } from 'node:crypto';
import { firstOf } from '../../core/values.js';
import { isStopWord, longestWord, wordsOf } from '../text/prompt-text.js';
import { collapsed, type Turn } from './tree.js';

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
/** The schema takes no longer name; as JSON a character may be six. */
const longestName = 512;
const longestSequence = 4_000;

/**
 * Counts a key. A full counter takes one from everybody instead, so that what occurs often stays
 * (Misra and Gries). The same keys in the same order give the same counter.
 */
export function count(counter: Counter, key: string, capacity: number, by = 1): void {
  add(counter, firstOf(key, longestKey), capacity, by);
}

/** A key is a JSON array; of names that are too long for one the first are kept: cut off, it were no JSON. */
function countSequence(counter: Counter, names: readonly string[], capacity: number): void {
  const kept = names.map((name) => firstOf(name, longestName));
  while (kept.length > 1 && JSON.stringify(kept).length > longestSequence) kept.pop();
  add(counter, JSON.stringify(kept), capacity, 1);
}

function add(counter: Counter, kept: string, capacity: number, by: number): void {
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

/** What is known of one way to serve one kind of request: a group of prompts with the agent that led. */
export type PatternState = {
  cluster: string;
  agent: string;
  /** The first prompt, and the turn it came from. */
  prompt: string;
  source: string;
  turns: number;
  good: number;
  bad: number;
  /** Turns whose use of this pattern a router logged: the pattern's counters have them already. */
  logged: { good: number; bad: number };
  /** What of the counts is in the pattern's row. */
  published: { good: number; bad: number };
  /** Good and bad turns, each turn before counting 0.97 of the one after it: how it goes lately. */
  recent: { good: number; bad: number };
  /** Milliseconds of good turns. */
  duration: { count: number; sum: number; min: number; max: number };
  /** The same durations by size, sixteen parts to a doubling, each part with its sum. Absent: an older state has {@link histogram}. */
  durations?: DurationPart[];
  /** As older versions kept them: two parts to a doubling, without sums. */
  histogram?: [part: number, count: number][];
  cost: { count: number; sum: number };
  intents: Counter;
  words: Counter;
  strategies: Counter;
  agents: Counter;
  tools: Counter;
  hooks: Counter;
  services: Counter;
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
};

/** Durations that lie within 4.4 % of each other. */
type DurationPart = [part: number, count: number, sumMs: number];

/** What a turn weighs against the one after it. */
const decay = 0.97;
const longestPrompt = 2_000;

/** So many keys of each counter are kept. */
const capacities = {
  intents: 8,
  words: 64,
  strategies: 8,
  agents: 12,
  tools: 12,
  hooks: 16,
  services: 16,
} as const;

export function newPattern(cluster: string, turn: Turn): PatternState {
  return {
    cluster,
    agent: turn.agent,
    prompt: firstOf(turn.prompt ?? '', longestPrompt),
    source: turn.correlationId,
    turns: 0,
    good: 0,
    bad: 0,
    logged: { good: 0, bad: 0 },
    published: { good: 0, bad: 0 },
    recent: { good: 0, bad: 0 },
    duration: { count: 0, sum: 0, min: 0, max: 0 },
    durations: [],
    cost: { count: 0, sum: 0 },
    intents: [],
    words: [],
    strategies: [],
    agents: [],
    tools: [],
    hooks: [],
    services: [],
    firstAt: turn.startedAt,
    lastAt: turn.endedAt,
  };
}

/** @param isLogged a router logged the use, so that the pattern's counters have it */
export function addTurn(state: PatternState, turn: Turn, isGood: boolean, isLogged: boolean): void {
  const side = isGood ? 'good' : 'bad';
  state.turns += 1;
  state[side] += 1;
  if (isLogged) state.logged[side] += 1;
  state.recent.good *= decay;
  state.recent.bad *= decay;
  state.recent[side] += 1;
  state.firstAt = Math.min(state.firstAt, turn.startedAt);
  state.lastAt = Math.max(state.lastAt, turn.endedAt);
  if (turn.intent !== null) count(state.intents, turn.intent, capacities.intents);
  for (const word of new Set(wordsOf(firstOf(turn.prompt ?? '', longestPrompt)))) {
    if (word.length > 2 && !isStopWord(word))
      count(state.words, firstOf(word, longestWord), capacities.words);
  }
  if (turn.strategy !== null) count(state.strategies, turn.strategy, capacities.strategies);
  if (!isGood) return;
  addDuration(state, turn.durationMs);
  if (turn.costUsd !== null) {
    state.cost.count += 1;
    // Millionths of a dollar: sums of fractions would depend on their order.
    state.cost.sum += Math.round(turn.costUsd * 1e6);
  }
  countSequence(state.agents, turn.agents.slice(0, 6), capacities.agents);
  const tools = collapsed(turn.tools.map(({ name }) => name)).slice(0, 12);
  if (tools.length > 0) countSequence(state.tools, tools, capacities.tools);
  for (const hook of turn.hooks) count(state.hooks, hook, capacities.hooks);
  for (const [service, calls] of turn.services)
    count(state.services, service, capacities.services, calls);
}

/** A turn that was counted turned out to be the other. */
export function reviseTurn(state: PatternState, isGood: boolean, isLogged: boolean): void {
  const [to, from] = isGood ? (['good', 'bad'] as const) : (['bad', 'good'] as const);
  state[to] += 1;
  state[from] -= 1;
  state.recent[to] += 1;
  state.recent[from] = Math.max(0, state.recent[from] - 1);
  if (!isLogged) return;
  state.logged[to] += 1;
  state.logged[from] -= 1;
}

/** Adds what is known of a pattern that was merged into this one. */
export function absorb(into: PatternState, from: PatternState): void {
  into.turns += from.turns;
  into.good += from.good;
  into.bad += from.bad;
  for (const sums of ['logged', 'published', 'recent'] as const) {
    into[sums].good += from[sums].good;
    into[sums].bad += from[sums].bad;
  }
  const timed = [into.duration, from.duration].filter(({ count: turns }) => turns > 0);
  into.duration = {
    count: into.duration.count + from.duration.count,
    sum: into.duration.sum + from.duration.sum,
    min: timed.length === 0 ? 0 : Math.min(...timed.map(({ min }) => min)),
    max: Math.max(into.duration.max, from.duration.max),
  };
  const parts = durationsOf(into);
  for (const part of durationsOf(from)) addPart(parts, part);
  into.cost.count += from.cost.count;
  into.cost.sum += from.cost.sum;
  for (const [name, capacity] of Object.entries(capacities) as [
    keyof typeof capacities,
    number,
  ][]) {
    for (const [key, turns] of ranked(from[name])) add(into[name], key, capacity, turns);
  }
  into.firstAt = Math.min(into.firstAt, from.firstAt);
  into.lastAt = Math.max(into.lastAt, from.lastAt);
}

function addDuration(state: PatternState, ms: number | null): void {
  if (ms === null || ms < 0) return;
  const { duration } = state;
  duration.min = duration.count === 0 ? ms : Math.min(duration.min, ms);
  duration.max = Math.max(duration.max, ms);
  duration.count += 1;
  duration.sum += ms;
  addPart(durationsOf(state), [ms < 1 ? 0 : Math.floor(partsPerDoubling * Math.log2(ms)), 1, ms]);
}

const partsPerDoubling = 16;

/** Those of a state that an older version wrote are as near as it kept them, to a fifth. */
function durationsOf(state: PatternState): DurationPart[] {
  if (state.durations) return state.durations;
  state.durations = (state.histogram ?? []).map(([part, count]) => [
    (partsPerDoubling / 2) * part,
    count,
    Math.round(count * 2 ** (part / 2)),
  ]);
  delete state.histogram;
  return state.durations;
}

function addPart(parts: DurationPart[], [part, turns, sumMs]: DurationPart): void {
  const entry = parts.find(([known]) => known === part);
  if (entry) {
    entry[1] += turns;
    entry[2] += sumMs;
  } else parts.push([part, turns, sumMs]);
}

/**
 * The duration under which this share of the good turns lies, between two of them by proportion (percentile_cont); null without
 * any. Exact as long as no two of these lie in one part, whose mean stands for them: off by 4.4 % at most.
 */
export function durationQuantile(state: PatternState, share: number): number | null {
  const sorted = durationsOf(state).toSorted(([one], [other]) => one - other);
  const total = sorted.reduce((sum, [, turns]) => sum + turns, 0);
  if (total === 0) return null;
  const at = (rank: number) => {
    let passed = 0;
    const [, turns, sumMs] = sorted.find(([, count]) => (passed += count) > rank) ?? [0, 1, 0];
    return sumMs / turns;
  };
  const rank = share * (total - 1);
  const [below, above] = [at(Math.floor(rank)), at(Math.ceil(rank))];
  return Math.round(below + (rank - Math.floor(rank)) * (above - below));
}

const prefix = 'learned';

/** The `pattern_hash` of a way to serve a group of prompts: the group and the agent that leads. */
export function patternKey(cluster: string, agent: string): string {
  return `${prefix}:${cluster}:${createHash('sha1').update(agent).digest('hex').slice(0, 12)}`;
}

/** The id that a learned row gets from its key: the same in every database, so that it can be learned again. */
export function uuidOf(key: string): string {
  const hex = createHash('sha1').update(key).digest('hex');
  const variant = ((parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
