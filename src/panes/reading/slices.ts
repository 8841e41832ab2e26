import { fittingInto } from '../../core/clock.js';

/** From `fromMs` on and before `untilMs`, in milliseconds since 1970 by the server's clock. */
export type Range = { fromMs: number; untilMs: number };

type Held<Value> = { value: Value; inProgress: number; askedMs: number };

/** What the ledger must know of the values it keeps. */
export type SliceKind<Value> = {
  /** The value of a slice without rows. */
  empty(): Value;
  inProgress(value: Value): number;
  /** How many rows were counted; another number later shows that rows were added to the slice. */
  rows(value: Value): number;
  /** Called for each value that is kept from now on, and for each that no longer is: keeps totals. */
  added?(value: Value): void;
  removed?(value: Value): void;
};

export type Plan = {
  /** Disjoint, oldest first. */
  ranges: Range[];
  /** Slices that will be complete with the answer and past the overlap: they can be kept. */
  keeping: Set<number>;
  /** Those of them that are asked for again only to see whether rows were added to them. */
  audited: ReadonlySet<number>;
  /** Slices of the window that are neither held nor asked for now: a later plan asks for them. */
  missing: number;
};

/**
 * How long after its end a slice is still asked for with every reading: rows of short transactions
 * that commit after it are then in.
 */
const overlapMs = 10_000;

/** At most so many kept slices are asked for again in one reading because they are due. */
const recheckedAtOnce = 8;

/** So many rows are looked at again with each reading while rows are written: half a millisecond. */
const rowsLookedAt = 1_000;
/** Of slices that are known to have changed, so many rows are counted again in one reading. */
const changedRowsAtOnce = 1_000_000;

/** How often a slice is audited although it is not due: at first, and after audits that found nothing. */
const shortestAuditMs = 2_000;
const longestAuditMs = 10_000;

/**
 * Keeps what was counted in closed slices of time, so that a reading asks the server only for
 * the open part of a window, whatever the window's length.
 *
 * Rows can come late (they carry their start, and commit at their end), and they change: a row is
 * written in progress and updated when it ends. A kept slice is therefore asked for again when its
 * age has doubled since the last time, when it has grown by a quarter while rows of it are in progress,
 * and at once when the caller knows that it changed. So a row that comes `d` after its slice ended is
 * counted at the latest `d` after it came (and two readings, for slices that are due together wait for
 * one another), and the cost grows with the logarithm of the window only: for an hour each row is read
 * nine times in all.
 *
 * Rows may also come hours after their time (an import, a restore), and old ones may change. Where rows came is told by
 * {@link LateRows}. What it cannot know is audited: while rows are written, and until all were looked at after that, with each
 * reading the slices that were not looked at for longest, as many as have a thousand rows, and as many in which something is in
 * progress; else one now and then. When
 * an audit finds rows that were added, two slices are audited with the next reading, then four: the more is found, the
 * more is looked at.
 */
export class SliceLedger<Value> {
  readonly sliceMs: number;
  readonly #held = new Map<number, Held<Value>>();
  readonly #kind: SliceKind<Value>;
  /** Kept slices that differ from what is there, until they are counted again. */
  readonly #changed = new Set<number>();
  #audits = 1;
  #auditEveryMs = shortestAuditMs;
  #auditedMs: number | undefined;
  /** When something was last being written; all slices are looked at once more after it. */
  #writtenMs = -Infinity;

  constructor(sliceMs: number, kind: SliceKind<Value>) {
    this.sliceMs = sliceMs;
    this.#kind = kind;
  }

  sliceOf(ms: number): number {
    return Math.floor(ms / this.sliceMs);
  }

  /** Rows came to these stretches of time, or went; kept slices there are counted again, the newest first. */
  noteChanged(ranges: readonly Range[]): void {
    for (const { fromMs, untilMs } of ranges) {
      const [first, last] = [this.sliceOf(fromMs), this.sliceOf(untilMs - 0.001)];
      for (const slice of this.#held.keys()) {
        if (slice >= first && slice <= last) this.#changed.add(slice);
      }
    }
  }

  /** Kept slices are known to have changed. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** The kept slices that had another number of rows in progress when they were asked for. */
  changed(inProgressNow: (slice: number) => number): Set<number> {
    const changed = new Set<number>();
    this.#held.forEach(({ inProgress }, slice) => {
      if (inProgress !== inProgressNow(slice)) changed.add(slice);
    });
    return changed;
  }

  /**
   * What to ask for a window that begins after `sinceMs`.
   *
   * @param newSlices how many slices never asked for may be fetched, the newest first
   */
  plan(window: Omit<SliceWindow, 'whole'>, newSlices: number): Plan {
    const { sinceMs, nowMs, untilMs = Infinity, changed = none, isWritten = false } = window;
    const edge = this.sliceOf(sinceMs);
    const firstOpen = Math.max(this.sliceOf(Math.min(nowMs - overlapMs, untilMs)), edge + 1);
    // At the near end too: the server's clock may have been set back.
    for (const slice of this.#held.keys()) {
      if (slice <= edge || slice >= firstOpen) this.#drop(slice);
    }
    const keeping = new Set<number>();
    const due: number[] = [];
    let missing = 0;
    let changedRows = 0;
    for (let slice = firstOpen - 1; slice > edge; slice -= 1) {
      const held = this.#held.get(slice);
      if (!held) {
        if (keeping.size < newSlices) keeping.add(slice);
        else missing += 1;
      } else if (changed.has(slice)) keeping.add(slice);
      else if (this.#changed.has(slice)) {
        if (changedRows < changedRowsAtOnce) keeping.add(slice);
        changedRows += this.#kind.rows(held.value);
      } else if (this.#isDue(slice, held, nowMs)) due.push(slice);
    }
    // The longest overdue first, so that none waits for ever behind the youngest.
    due.sort((a, b) => (this.#held.get(a)?.askedMs ?? 0) - (this.#held.get(b)?.askedMs ?? 0));
    for (const slice of due.slice(0, recheckedAtOnce)) keeping.add(slice);
    // A window in the past is looked at once; one that is not whole has more to ask for.
    const isWhole = untilMs === Infinity && missing === 0;
    const audited = isWhole ? this.#toAudit(keeping, nowMs, newSlices, isWritten) : none;
    for (const slice of audited) keeping.add(slice);

    // One microsecond later: the window is open at its far end, as `started_at > now() - window`.
    const edgeEndsMs = Math.min((edge + 1) * this.sliceMs, untilMs);
    const ranges: Range[] = [{ fromMs: sinceMs + 0.001, untilMs: edgeEndsMs }];
    for (const slice of [...keeping].sort((a, b) => a - b)) {
      append(ranges, { fromMs: slice * this.sliceMs, untilMs: (slice + 1) * this.sliceMs });
    }
    const openMs = firstOpen * this.sliceMs;
    if (openMs < untilMs) append(ranges, { fromMs: openMs, untilMs });
    return { ranges, keeping, audited, missing };
  }

  /**
   * Takes the answer to a plan, by slice; slices without rows are absent from it. Returns what was asked
   * but is not kept: the far edge of the window and its open part.
   */
  settle(plan: Plan, answer: ReadonlyMap<number, Value>, nowMs: number): Map<number, Value> {
    let found = 0;
    for (const slice of plan.keeping) {
      const value = answer.get(slice) ?? this.#kind.empty();
      if (plan.audited.has(slice) && this.#differs(slice, value)) found += 1;
      this.#drop(slice);
      this.#kind.added?.(value);
      const inProgress = this.#kind.inProgress(value);
      this.#held.set(slice, { value, inProgress, askedMs: nowMs });
    }
    if (plan.audited.size > 0) this.#learn(found);
    return new Map([...answer].filter(([slice]) => !plan.keeping.has(slice)));
  }

  /** Calls `visit` with each kept slice. */
  look(visit: (slice: number, value: Value) => void): void {
    this.#held.forEach(({ value }, slice) => visit(slice, value));
  }

  clear(): void {
    for (const slice of [...this.#held.keys()]) this.#drop(slice);
  }

  /** The slices that were asked for longest ago, as many as the last audit gives reason for, or as cost little. */
  #toAudit(
    keeping: ReadonlySet<number>,
    nowMs: number,
    most: number,
    isWritten: boolean,
  ): ReadonlySet<number> {
    this.#auditedMs ??= nowMs;
    if (isWritten) this.#writtenMs = nowMs;
    const since = nowMs - this.#auditedMs;
    // The clock may have been set back.
    const isTime = this.#audits > 1 || since < 0 || since >= this.#auditEveryMs;
    // Rows that were changed are found by looking at all: also those of which the turn comes when nothing is written any more.
    const isUnseen = isWritten || this.#isAnyOlder(this.#writtenMs);
    if (!isTime && !isUnseen) return none;
    if (isTime) this.#auditedMs = nowMs;
    const candidates = [...this.#held].filter(([slice]) => !keeping.has(slice));
    // Those that were asked together are asked together again: neighbours are one stretch of time.
    candidates.sort(([a, one], [b, other]) => one.askedMs - other.askedMs || a - b);
    const audits = isTime ? Math.min(this.#audits, most) : 0;
    const slices = candidates.slice(0, audits).map(([slice]) => slice);
    if (!isUnseen) return new Set(slices);
    const unended = candidates.filter(([, { inProgress }]) => inProgress > 0);
    return new Set([...slices, ...this.#cheap(candidates), ...this.#cheap(unended)]);
  }

  #isAnyOlder(ms: number): boolean {
    for (const { askedMs } of this.#held.values()) if (askedMs < ms) return true;
    return false;
  }

  /** The first of them that have few rows together. */
  #cheap(slices: readonly (readonly [number, Held<Value>])[]): number[] {
    let rows = 0;
    const beyond = slices.findIndex(
      ([, { value }]) => (rows += this.#kind.rows(value)) > rowsLookedAt,
    );
    return slices.slice(0, beyond < 0 ? slices.length : beyond).map(([slice]) => slice);
  }

  #learn(found: number): void {
    this.#audits = found > 0 ? this.#audits * 2 : 1;
    this.#auditEveryMs =
      found > 0 ? shortestAuditMs : Math.min(this.#auditEveryMs * 2, longestAuditMs);
  }

  #differs(slice: number, value: Value): boolean {
    const held = this.#held.get(slice);
    return held !== undefined && this.#kind.rows(held.value) !== this.#kind.rows(value);
  }

  #drop(slice: number): void {
    this.#changed.delete(slice);
    const held = this.#held.get(slice);
    if (!held) return;
    this.#held.delete(slice);
    this.#kind.removed?.(held.value);
  }

  #isDue(slice: number, { askedMs, inProgress }: Held<Value>, nowMs: number): boolean {
    const end = (slice + 1) * this.sliceMs;
    const growth = inProgress > 0 ? 1.25 : 2;
    return nowMs - end >= (askedMs - end) * growth;
  }
}

const none: ReadonlySet<number> = new Set();

function append(ranges: Range[], next: Range): void {
  const last = ranges.at(-1);
  if (last?.untilMs === next.fromMs) last.untilMs = next.untilMs;
  else ranges.push(next);
}

export type SliceWindow = {
  sinceMs: number;
  /** Where it ends; absent: it goes on. */
  untilMs?: number | undefined;
  nowMs: number;
  /** Kept slices that are known to have changed. */
  changed?: ReadonlySet<number>;
  /** Rows are being written: old ones may be among them. */
  isWritten?: boolean;
  /** Everything in one go, whatever it takes. */
  whole: boolean;
};

export type SliceValues<Value> = {
  /** What is not kept, by slice: the far edge of the window and its open part. The rest is in the ledger. */
  fresh: Map<number, Value>;
  /** Which share of the window is there; 1 when it is whole. */
  share: number;
};

/** What fetching a window for the first time may take of one reading; of one that asks for few long slices. */
const chunkMs = 100;
const longChunkMs = 250;
const smallestChunk = 5;
/** Nothing is known yet of how full slices are: so many at first, and no more than a few hours. */
const firstChunk = { slices: 60, spanMs: 6 * 3_600_000 };

/** How the first chunk of a window is chosen. */
export type FirstChunk = {
  /** A span (ms) that another reading of the same rows has found to take a tenth of a second. */
  fittingMs?: number | undefined;
  /** How many of the usual slices make one of these, where they are longer. */
  length?: number;
};

/**
 * Reads windows through a {@link SliceLedger}. A window of a busy server that was never read before
 * comes in pieces, the newest first: each reading fetches as many slices as take a tenth of a second.
 */
export class SliceReader<Value> {
  readonly ledger: SliceLedger<Value>;
  #chunk: number;

  readonly #smallest: number;
  readonly #patienceMs: number;

  constructor(ledger: SliceLedger<Value>, { fittingMs, length = 1 }: FirstChunk = {}) {
    this.ledger = ledger;
    this.#patienceMs = length > 1 ? longChunkMs : chunkMs;
    this.#smallest = Math.max(1, Math.round(smallestChunk / length));
    const spanMs = fittingMs ?? firstChunk.spanMs;
    const most = fittingMs === undefined ? Math.round(firstChunk.slices / length) : Infinity;
    this.#chunk = Math.max(Math.min(most, Math.floor(spanMs / ledger.sliceMs)), this.#smallest);
  }

  /** How long a span takes a tenth of a second, as far as is known (ms). */
  get fittingMs(): number {
    return this.#chunk * this.ledger.sliceMs;
  }

  /** @param ask counts the rows of the ranges by slice */
  async read(
    { whole, ...window }: SliceWindow,
    ask: (ranges: readonly Range[]) => Promise<Map<number, Value>>,
  ): Promise<SliceValues<Value>> {
    const { sinceMs, untilMs, nowMs } = window;
    const began = performance.now();
    for (let { changed = none } = window; ; changed = none) {
      const newSlices = whole ? Infinity : this.#chunk;
      const plan = this.ledger.plan({ ...window, changed }, newSlices);
      const before = performance.now();
      const fresh = this.ledger.settle(plan, await ask(plan.ranges), nowMs);
      this.#adapt(plan.keeping.size, performance.now() - before);
      if (plan.missing === 0) return { fresh, share: 1 };
      if (performance.now() - began < this.#patienceMs) continue;
      const all = Math.ceil(((untilMs ?? nowMs) - sinceMs) / this.ledger.sliceMs);
      return { fresh, share: Math.max(0, 1 - plan.missing / all) };
    }
  }

  #adapt(slices: number, ms: number): void {
    if (slices < this.#smallest) return;
    // No more than fourfold: the next slices may be fuller than these.
    const limits = { least: this.#smallest, most: slices * 4 };
    this.#chunk = Math.round(fittingInto(chunkMs, { size: slices, tookMs: ms }, limits));
  }
}
