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
