import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { withSeparators } from '../core/format/number.js';

import { parseDuration, spanHint } from '../core/format/time.js';

/** What to generate. Everything left out has a default. */
export type DemoOptions = {
  /** Equal seed and start give equal rows, ids included. Default: by chance. */
  seed?: number | undefined;
  /** Milliseconds since 1970: history ends and live traffic begins here. Default: now. */
  start?: number | undefined;
  /** Traces a second of live traffic, of any depth. Absent: no live traffic. */
  rate?: number | undefined;
  /** Length of the live traffic. Default: until the signal. */
  seconds?: number | undefined;
  /** Milliseconds of history to fill in first. Absent: none. */
  backfillMs?: number | undefined;
  /** Traces of that history. Default: as many as its end needs to have the rate of the live traffic, else `defaultTraces`. */
  traces?: number | undefined;
  /** Goes on with what an earlier run has written: history only before that, traffic from its end on. */
  continues?: boolean | undefined;
};

export type DemoPlan = {
  seed: number;
  start: number;
  /** False: the clock decides, and live rows carry the real time. */
  startIsGiven: boolean;
  live: { rate: number; seconds: number } | null;
  history: { lengthMs: number; traces: number; steadyMs: number } | null;
  /** So long before `start` the live traffic begins, in no time: history ends there. */
  leadMs: number;
  continues: boolean;
};

export const demoLimits = {
  highestRate: 1_000,
  mostTraces: 2_000_000,
  longestBackfillMs: 10 * 365 * 86_400_000,
  defaultRate: 5,
} as const;

/** The embedded database writes at half the speed of a server, and starts with the demo. */
export function defaultTraces(embedded: boolean): number {
  return embedded ? 2_500 : 20_000;
}

/** @throws ConsoleError `usage` for what is out of bounds. */
export function planDemo(options: DemoOptions, embedded: boolean, now: number): DemoPlan {
  const { rate, seconds, backfillMs, traces } = options;
  check('--rate', rate, 0.01, demoLimits.highestRate);
  check('--seconds', seconds, 0.1, 86_400 * 365);
  check('--traces', traces, 1, demoLimits.mostTraces, true);
  check('--seed', options.seed, 0, Number.MAX_SAFE_INTEGER, true);
  check('--backfill', backfillMs, 60_000, demoLimits.longestBackfillMs);
  const isLive = rate !== undefined || seconds !== undefined || backfillMs === undefined;
  const start = options.start ?? now;
  const most = defaultTraces(embedded);
  const common = {
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    start,
    startIsGiven: options.start !== undefined,
    continues: options.continues === true,
  };
  const liveAt = (perSecond: number) => ({ rate: perSecond, seconds: seconds ?? Infinity });
  if (backfillMs === undefined) {
    const live = liveAt(rate ?? demoLimits.defaultRate);
    return { ...common, live, history: null, leadMs: common.continues ? longestLeadMs : 0 };
  }
  if (!isLive) {
    const history = { lengthMs: backfillMs, traces: traces ?? most, steadyMs: 0 };
    return { ...common, live: null, history, leadMs: 0 };
  }
  // The last days or hours have the rate of the live traffic, as far as the number of traces allows it.
  const steadyAt = (ms: number) => {
    const steadyMs = Math.min(ms, backfillMs / 2);
    const { lastRate } = new Rhythm(start, backfillMs, steadyMs);
    return { steadyMs, lastRate, wanted: Math.max(1, Math.round((rate ?? 0) / lastRate)) };
  };
  const bound = traces ?? (embedded ? 20_000 : 80_000);
  const { steadyMs, lastRate, wanted } =
    longSteadyMs.map(steadyAt).find((each) => rate !== undefined && each.wanted <= bound) ??
    steadyAt(shortestSteadyMs);
  const all = traces ?? (rate === undefined || wanted > bound ? most : wanted);
  const live = liveAt(rate ?? all * lastRate);
  const leadMs = Math.min(longestLeadMs, steadyMs / 2, (1_000 * all) / 4 / live.rate);
  const led = Math.ceil((leadMs * live.rate) / 1_000);
  const history = { lengthMs: backfillMs, traces: Math.max(1, all - led), steadyMs };
  return { ...common, live, history, leadMs };
}

/** Two days first: then a window of a day, too, is like the one before. */
const longSteadyMs = [48, 24, 12, 6].map((hours) => hours * 3_600_000);
const shortestSteadyMs = 2 * 3_600_000;
const longestLeadMs = 10 * 60_000;

function check(name: string, value: number | undefined, low: number, high: number, whole = false) {
  if (value === undefined) return;
  if (value >= low && value <= high && (!whole || Number.isInteger(value))) return;
  throw new ConsoleError('usage', `${name} is out of bounds.`, {
    hint: `Give ${whole ? 'a whole number' : 'a value'} from ${low} to ${high}${name === '--backfill' ? ' milliseconds' : ''}.`,
  });
}

/**
 * Whether traffic of the demo harms nobody here: on the embedded database, and on one without a trace that is not marked as
 * production. Elsewhere nobody is told of it.
 *
 * @throws ConsoleError
 */
export async function offersDemo(database: Database): Promise<boolean> {
  const { capabilities, readOnly, production } = database;
  if (readOnly || capabilities.standby || production !== undefined) return false;
  if (capabilities.embedded) return true;
  if (!capabilities.tables.execution_traces) return false;
  return (await database.read('SELECT 1 FROM execution_traces LIMIT 1', [])).length === 0;
}

/** What a run would write, for the question before it. */
export function describeDemo({ history, live, leadMs }: DemoPlan): string[] {
  const lines = [];
  if (history) {
    const days = Math.round(history.lengthMs / 8_640_000) / 10;
    const traces = history.traces + Math.ceil((leadMs * (live?.rate ?? 0)) / 1_000);
    lines.push(
      `would write ${withSeparators(traces)} traces over the last ${days} days, about ${withSeparators(12 * traces)} rows`,
    );
  }
  if (live) {
    const length = Number.isFinite(live.seconds) ? `for ${live.seconds} s` : 'until stopped';
    lines.push(
      `would write ${Math.round(live.rate * 100) / 100} traces a second ${length}, about 12 rows each`,
    );
  }
  lines.push(`every row tagged ${demoTag}; "demo --remove" takes them away again`);
  return lines;
}

/**
 * A length of time in milliseconds: `120d`, `36h`, `90m`, `2w`, `1.5d`.
 *
 * @throws ConsoleError `usage`
 */
export function parseLength(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new ConsoleError('usage', `"${text}" is no length of time.`, { hint: spanHint });
  }
  return ms;
}

/**
 * A moment as milliseconds since 1970; without an offset it is UTC.
 *
 * @throws ConsoleError `usage`
 */
export function parseStart(text: string): number {
  const hasOffset = /(z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes('T');
  const time = Date.parse(hasOffset ? text : `${text}Z`);
  if (Number.isFinite(time)) return time;
  throw new ConsoleError('usage', `"${text}" is no moment in time.`, {
    hint: 'Give it as 2026-03-29T12:00:00Z.',
  });
}

/**
 * Marks every row that the demo owns: in `tags` of execution_traces, success_patterns,
 * agent_chaining_patterns and error_patterns. All other rows belong to one of those.
 */
export const demoTag = 'trace-console-demo';

/**
 * Marks the demo's rows where there are no tags, under this key: of pattern_usage_log in `deviations`, as a log outlives
 * its trace when that is archived and purged; of the console's agent_sessions in `activity`.
 */
export const demoUsageMarker = { generator: demoTag } as const;

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Work by hour of the day (UTC): two offices, a low night, never quite nothing. */
const byHour = [
  0.12, 0.08, 0.06, 0.06, 0.08, 0.14, 0.3, 0.6, 0.9, 1, 1, 0.92, 0.78, 0.9, 1, 1, 0.95, 0.85, 0.7,
  0.6, 0.5, 0.38, 0.28, 0.18,
];
/** Sunday first. */
const byWeekday = [0.16, 1, 1, 1, 1, 0.9, 0.2];

/**
 * Spreads traces over the time before `end`: a trace is the likelier the more recent it is (every
 * doubling of its age, beyond half an hour and the steady time, holds about as many), times the rhythm of day and week.
 * A console that is opened right after a backfill has full panes, and there is something to archive.
 */
export class Rhythm {
  readonly #from: number;
  readonly #edges: number[] = [];
  readonly #cumulated: number[] = [];
  readonly #lastPerMs: number;

  /** @param steadyMs so long before the end it is the same */
  constructor(end: number, lengthMs: number, steadyMs = 0) {
    this.#from = end - lengthMs;
    let total = 0;
    for (let until = this.#from; until < end;) {
      const from = until;
      const age = end - from;
      until = Math.min(end, from + (age > 2 * day ? hour : age > 2 * hour ? 10 * minute : minute));
      const middle = end - (from + until) / 2;
      const isSteady = middle < steadyMs;
      const rhythm = isSteady ? 1 : activity(end - middle, middle);
      total += ((until - from) / (Math.max(middle, steadyMs) + 0.5 * hour)) * rhythm;
      this.#edges.push(until);
      this.#cumulated.push(total);
    }
    this.#lastPerMs = 1 / (steadyMs + 0.5 * hour);
  }

  /** Traces a second in the steady time before the end, of each trace of the whole. */
  get lastRate(): number {
    return (1_000 * this.#lastPerMs) / (this.#cumulated.at(-1) ?? 1);
  }

  /** The share of all traces that has started by this time. */
  shareAt(time: number): number {
    const total = this.#cumulated.at(-1) ?? 1;
    const index = this.#edges.findIndex((edge) => edge > time);
    if (time <= this.#from || index === -1) return time <= this.#from ? 0 : 1;
    const from = index === 0 ? this.#from : (this.#edges[index - 1] ?? this.#from);
    const until = this.#edges[index] ?? from;
    const before = index === 0 ? 0 : (this.#cumulated[index - 1] ?? 0);
    const weight = (this.#cumulated[index] ?? 0) - before;
    return (before + (weight * (time - from)) / (until - from)) / total;
  }

  /** The time by which this share (0 to 1) of all traces has started. Rises with the share. */
  timeAt(share: number): number {
    const total = this.#cumulated.at(-1) ?? 0;
    const wanted = Math.min(1, Math.max(0, share)) * total;
    let low = 0;
    let high = this.#cumulated.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulated[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    const before = low === 0 ? 0 : (this.#cumulated[low - 1] ?? 0);
    const from = low === 0 ? this.#from : (this.#edges[low - 1] ?? this.#from);
    const until = this.#edges[low] ?? from;
    const weight = (this.#cumulated[low] ?? 0) - before;
    return Math.round(from + (weight > 0 ? (wanted - before) / weight : 0) * (until - from));
  }
}

/** The last hours are never quiet, whenever the demo is started. */
function activity(time: number, age: number): number {
  const date = new Date(time);
  const rhythm = (byHour[date.getUTCHours()] ?? 1) * (byWeekday[date.getUTCDay()] ?? 1);
  return age < 6 * hour ? Math.max(0.7, rhythm) : rhythm;
}
