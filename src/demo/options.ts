import { ConsoleError } from '../db/errors.js';

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
  /** Traces of that history. Default: `defaultTraces`. */
  traces?: number | undefined;
};

export type DemoPlan = {
  seed: number;
  start: number;
  /** False: the clock decides, and live rows carry the real time. */
  startIsGiven: boolean;
  live: { rate: number; seconds: number } | null;
  history: { lengthMs: number; traces: number } | null;
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
  const live = rate !== undefined || seconds !== undefined || backfillMs === undefined;
  return {
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    start: options.start ?? now,
    startIsGiven: options.start !== undefined,
    live: live ? { rate: rate ?? demoLimits.defaultRate, seconds: seconds ?? Infinity } : null,
    history:
      backfillMs === undefined
        ? null
        : { lengthMs: backfillMs, traces: traces ?? defaultTraces(embedded) },
  };
}

function check(name: string, value: number | undefined, low: number, high: number, whole = false) {
  if (value === undefined) return;
  if (value >= low && value <= high && (!whole || Number.isInteger(value))) return;
  throw new ConsoleError('usage', `${name} is out of bounds.`, {
    hint: `Give ${whole ? 'a whole number' : 'a value'} from ${low} to ${high}${name === '--backfill' ? ' milliseconds' : ''}.`,
  });
}
