import { parseExactJson } from '../../core/exact-json.js';
import type { Queryable } from '../../db/database.js';
import {
  CallSlice,
  figureAt,
  groupKey,
  type CallCounts,
  CallTotal,
  type CallGroupName,
  bucketBoundsText,
  bucketError,
  callHistogramStatement,
  callPercentilesStatement,
  type CallHistogramRow,
  type CallPercentilesRow,
  type CallSource,
} from './calls.js';
import type { ReadRequest } from '../contract/pane.js';
import type { SchemaShape } from '../contract/shape.js';
import { LateRows } from './late-rows.js';
import { type FirstChunk, SliceLedger, type Range, SliceReader } from './slices.js';
import { isCountedAtOnce, longSliceOf, serverNowIn, sliceMsFor } from './windows.js';

/** Sums by group that slices can be added to and taken out of. */
export class CallTotals {
  readonly byKey = new Map<string, CallTotal>();

  /** The slices that an answer tells of, by their numbers. */
  slicesOf(rows: readonly CallHistogramRow[]): Map<number, CallSlice> {
    const names = new Map<string, CallGroupName>();
    const nameOf = (groups: string): CallGroupName => {
      const name = this.byKey.get(groups)?.name ??
        names.get(groups) ?? {
          key: groups,
          groups: parseExactJson(groups) as (string | null)[],
        };
      names.set(groups, name);
      return name;
    };
    const bySlice = new Map<number, CallHistogramRow[]>();
    for (const row of rows) {
      const others = bySlice.get(row.slice);
      if (others) others.push(row);
      else bySlice.set(row.slice, [row]);
    }
    return new Map([...bySlice].map(([slice, own]) => [slice, new CallSlice(own, nameOf)]));
  }

  apply(slice: CallSlice, sign: 1 | -1): void {
    let pair = 0;
    for (const [index, name] of slice.names.entries()) {
      const total = this.byKey.get(name.key) ?? new CallTotal(name);
      pair = total.apply(slice, index * slice.width, pair, sign);
      if (total.calls === 0) this.byKey.delete(name.key);
      else this.byKey.set(name.key, total);
    }
  }

  /** What `read` makes of these sums with some slices added, which are taken out again. */
  with<Result>(slices: Iterable<CallSlice>, read: () => Result): Result {
    const added = [...slices];
    for (const slice of added) this.apply(slice, 1);
    const result = read();
    for (const slice of added) this.apply(slice, -1);
    return result;
  }
}

/** One group over the window. */
export type CallGroup = CallCounts & {
  p50Ms: number | null;
  p95Ms: number | null;
  /** Calls by part of the window, oldest first; empty unless asked for. */
  trend: readonly number[];
};

export type CallGroups = {
  groups: CallGroup[];
  /** Where the window ends: the server's clock, or the chosen moment. */
  endMs: number;
  /** How far p50 and p95 can be off, as a share of them: 0 when they are exact. */
  percentileError: number;
  /** Which share of the window is there; 1 when it is whole. */
  share: number;
  /** How long a span of it takes a tenth of a second (ms); absent: not known. */
  fittingMs?: number | undefined;
  /** The trends of all groups together, of those that were not chosen, too. */
  series: readonly number[];
};

/** `fittingMs`: what another reading of the same rows has found (ms), see {@link CallGroups}. */
export type CallsRequest = ReadRequest & { fittingMs?: number | undefined };

export type CallsOptions = {
  source(shape: SchemaShape): CallSource;
  /** Parts of the window that are added up apart, for a sparkline; 0: none. */
  trendParts?: number;
  /** Which of the source's sums a part of the trend adds up; default: how many calls there are. */
  trendSum?: number;
  /**
   * Of all groups, asked with every reading, those that are wanted with trend, newest and maximum; default: all.
   * Where there are ten thousands of groups, these take far longer than the sums.
   */
  choose?: (totals: Iterable<CallTotal>) => readonly CallTotal[];
  /** Kept slices that are known to have changed, asked before the calls. */
  changed?(tx: Queryable, sliceMs: number): Promise<ReadonlySet<number>>;
  /** Calls change after they were written although none is seen in progress. */
  restless?: boolean;
  /** Keeps few slices: for a window that is counted seldom. The answer is a tenth as large. */
  long?: boolean;
  /** Slices as long as the window: for one that is counted once. */
  whole?: boolean;
};

/**
 * Counts calls of a window by group. Closed slices of time are kept as histograms, so that a reading costs the
 * open one whatever the window. Counts, sums and maxima are exact; p50 and p95 are at most 3.1 % off (see
 * duration-buckets). A call that is written late is counted with the reading that finds where it came (see {@link LateRows});
 * one that ends later than it was counted, when its slice is asked for again (see {@link SliceLedger}): with the next
 * reading where the window is small, at the latest after a quarter of its age.
 *
 * On demand (`exact`) every row of the window is read, and the percentiles are exact, too.
 *
 * The first answer of many slices takes the console longer to read than the server to count. A brief reading therefore asks for
 * long slices, of a short window for one or two, which give the same figures, and the one after it for those that are kept.
 */
export class CallsReader {
  readonly #options: CallsOptions;
  #totals = new CallTotals();
  #slices: SliceReader<CallSlice>;
  readonly #late = new LateRows();
  /** A window that a brief reading has found to be counted in a moment (ms). */
  #lightMs: number | undefined;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#slices = this.#slicesOf(0, {});
  }

  async read(tx: Queryable, request: CallsRequest): Promise<CallGroups> {
    const source = this.#options.source(request.shape);
    const nowMs = await serverNowIn(tx);
    const { exact } = request;
    const hasDurations = source.duration !== undefined;
    const { trendParts = 0, long = false, whole = false } = this.#options;
    const withTrend = trendParts > 0;
    const isAtOnce = isCountedAtOnce(request);
    if (request.brief && !exact && !withTrend && !whole && (isAtOnce || !long)) {
      const brief = new CallsReader({ ...this.#options, long: true, whole: isAtOnce });
      const found = await brief.read(tx, request);
      if (found.share === 1) {
        this.#lightMs = request.windowMs;
        return found;
      }
    }
    if (!exact || !hasDurations) return this.#readKept(tx, request, source, nowMs);
    const endMs = request.untilMs ?? nowMs;
    const groups = await readExact(tx, request, source, endMs);
    let series: readonly number[] = [];
    if (withTrend) {
      const kept = await this.#readKept(tx, request, source, nowMs);
      const trends = new Map(kept.groups.map((group) => [groupKey(group.groups), group.trend]));
      for (const group of groups) group.trend = trends.get(groupKey(group.groups)) ?? [];
      ({ series } = kept);
    }
    return { groups, endMs, percentileError: 0, share: 1, series };
  }

  reset(): void {
    this.#slices.ledger.clear();
  }

  /** Looks whether rows came late to slices that are kept; the next reading counts these again. */
  async isOutdated(tx: Queryable, request: ReadRequest): Promise<boolean> {
    await this.#lookForLate(tx, request, this.#options.source(request.shape));
    return this.#slices.ledger.hasChanged;
  }

  /** @returns whether rows are being written */
  async #lookForLate(tx: Queryable, request: ReadRequest, source: CallSource): Promise<boolean> {
    // What is counted once is not watched.
    if (request.exact) return false;
    const nowMs = await serverNowIn(tx);
    const { ranges, isWritten } = await this.#late.look(tx, request, source.reads ?? [], nowMs);
    this.#slices.ledger.noteChanged(ranges);
    return isWritten;
  }

  async #readKept(
    tx: Queryable,
    request: CallsRequest,
    source: CallSource,
    nowMs: number,
  ): Promise<CallGroups> {
    const { windowMs, untilMs, exact, fittingMs } = request;
    const length = this.#length(windowMs);
    const sliceMs = sliceMsFor(windowMs) * length;
    const isOther = this.#slices.ledger.sliceMs !== sliceMs;
    if (exact || isOther) this.#slices = this.#slicesOf(sliceMs, { fittingMs, length });
    const whole = exact || isCountedAtOnce(request) || this.#lightMs === windowMs;
    this.#lightMs = undefined;
    const isWritten = await this.#lookForLate(tx, request, source);
    const changed = await this.#options.changed?.(tx, sliceMs);
    const endMs = untilMs ?? nowMs;
    const sinceMs = endMs - windowMs;
    const totals = this.#totals;
    const { fresh, share } = await this.#slices.read(
      { sinceMs, untilMs, nowMs, isWritten, whole, ...(changed ? { changed } : {}) },
      (ranges) => readHistograms(tx, source, ranges, sliceMs, totals),
    );
    const found = this.#groups(fresh, { sinceMs, endMs, sliceMs });
    const { fittingMs: fits } = this.#slices;
    return { ...found, endMs, percentileError: bucketError, share, fittingMs: fits };
  }

  /** In slices of the usual length. */
  #length(windowMs: number): number {
    const { long, whole } = this.#options;
    if (whole) return Math.max(1, Math.ceil(windowMs / sliceMsFor(windowMs)));
    return long ? longSliceOf(windowMs) : 1;
  }

  #slicesOf(sliceMs: number, first: FirstChunk): SliceReader<CallSlice> {
    const totals = new CallTotals();
    const restless = this.#options.restless ?? false;
    this.#totals = totals;
    return new SliceReader(
      new SliceLedger<CallSlice>(sliceMs, {
        empty: () => emptySlice,
        inProgress: (slice) => (restless ? 1 : slice.sum('inProgress')),
        rows: (slice) => slice.sum('calls'),
        added: (slice) => totals.apply(slice, 1),
        removed: (slice) => totals.apply(slice, -1),
      }),
      first,
    );
  }

  #groups(
    fresh: ReadonlyMap<number, CallSlice>,
    window: { sinceMs: number; endMs: number; sliceMs: number },
  ): Pick<CallGroups, 'groups' | 'series'> {
    const { trendParts: parts = 0, trendSum } = this.#options;
    const trendAt = trendSum === undefined ? figureAt.calls : figureAt.sums + trendSum;
    const choose = this.#options.choose ?? ((totals: Iterable<CallTotal>) => [...totals]);
    return this.#totals.with(fresh.values(), () => {
      const chosen = choose(this.#totals.byKey.values());
      const beyond = new Map(chosen.map(({ name }) => [name.key, emptyBeyond(parts)]));
      const series = Array.from({ length: parts }, () => 0);
      const look = (slice: number, { names, figures, width }: CallSlice) => {
        const part = parts === 0 ? -1 : partOf(slice, window, parts);
        for (let index = 0; index < names.length; index += 1) {
          const at = index * width;
          const amount = part < 0 ? 0 : (figures[at + trendAt] ?? 0);
          if (part >= 0) series[part] = (series[part] ?? 0) + amount;
          const known = beyond.get(names[index]?.key ?? '');
          if (known) noteBeyond(known, figures, at, { part, amount });
        }
      };
      this.#slices.ledger.look(look);
      for (const [slice, calls] of fresh) look(slice, calls);
      return {
        groups: chosen.map((total) => groupOf(total, beyond.get(total.name.key))),
        series,
      };
    });
  }
}

/** Shared by all slices without calls. */
const emptySlice = new CallSlice([], (key) => ({ key, groups: [] }));

function groupOf(total: CallTotal, beyond: Beyond = emptyBeyond(0)): CallGroup {
  const { lastMs, trend } = beyond;
  const [maxMs, lastFailedMs] = [known(beyond.maxMs), known(beyond.lastFailedMs)];
  return {
    groups: total.groups,
    calls: total.calls,
    failures: total.failures,
    inProgress: total.inProgress,
    sums: [...total.sums],
    lastMs,
    lastFailedMs,
    totalMs: total.totalMs,
    p50Ms: atMost(total.percentile(0.5), maxMs),
    p95Ms: atMost(total.percentile(0.95), maxMs),
    maxMs,
    trend,
  };
}

/** Maxima: they cannot be subtracted from a total, so they are computed over all slices. -Infinity: there is none. */
type Beyond = { maxMs: number; lastMs: number; lastFailedMs: number; trend: number[] };

const emptyBeyond = (parts: number): Beyond => ({
  maxMs: -Infinity,
  lastMs: 0,
  lastFailedMs: -Infinity,
  trend: Array.from({ length: parts }, () => 0),
});

const known = (figure: number): number | null => (figure === -Infinity ? null : figure);

/**
 * @param at where the group's figures begin
 * @param trend.amount for the part of the trend, unless `part` is -1
 */
function noteBeyond(
  beyond: Beyond,
  figures: Float64Array,
  at: number,
  { part, amount }: { part: number; amount: number },
): void {
  const maxMs = figures[at + figureAt.maxMs] ?? 0;
  const lastMs = figures[at + figureAt.lastMs] ?? 0;
  const lastFailedMs = figures[at + figureAt.lastFailedMs] ?? 0;
  if (maxMs > beyond.maxMs) beyond.maxMs = maxMs;
  if (lastMs > beyond.lastMs) beyond.lastMs = lastMs;
  if (lastFailedMs > beyond.lastFailedMs) beyond.lastFailedMs = lastFailedMs;
  if (part >= 0) beyond.trend[part] = (beyond.trend[part] ?? 0) + amount;
}

/** Parts are equally long; a slice belongs to the one in which its middle lies. */
function partOf(
  slice: number,
  { sinceMs, endMs, sliceMs }: { sinceMs: number; endMs: number; sliceMs: number },
  parts: number,
): number {
  const middle = (slice + 0.5) * sliceMs;
  const part = Math.floor((parts * (middle - sinceMs)) / (endMs - sinceMs));
  return Math.min(Math.max(part, 0), parts - 1);
}

/** Not above the maximum: the middle of the last bucket may be longer than any duration in it. */
function atMost(value: number | null, maxMs: number | null): number | null {
  return value === null || maxMs === null ? value : Math.min(value, maxMs);
}

async function readHistograms(
  tx: Queryable,
  source: CallSource,
  ranges: readonly Range[],
  sliceMs: number,
  totals: CallTotals,
): Promise<Map<number, CallSlice>> {
  const { rows } = await tx.query<CallHistogramRow>(callHistogramStatement(source, ranges.length), [
    sliceMs / 1000,
    ...ranges.flatMap(({ fromMs, untilMs }) => [fromMs / 1000, untilMs / 1000]),
    ...(source.duration === undefined ? [] : [bucketBoundsText]),
  ]);
  return totals.slicesOf(rows);
}

async function readExact(
  tx: Queryable,
  { windowMs, untilMs }: ReadRequest,
  source: CallSource,
  endMs: number,
): Promise<CallGroup[]> {
  const { rows } = await tx.query<CallPercentilesRow>(callPercentilesStatement(source), [
    (endMs - windowMs) / 1000,
    (untilMs ?? Infinity) / 1000,
  ]);
  return rows.map((row) => ({
    groups: row.groups,
    calls: row.calls,
    failures: row.failures,
    inProgress: row.in_progress,
    sums: row.sums.map((sum) => sum ?? 0),
    lastMs: row.last_ms,
    lastFailedMs: row.last_failed_ms,
    totalMs: row.total_ms ?? 0,
    p50Ms: row.p50_ms,
    p95Ms: row.p95_ms,
    maxMs: row.max_ms,
    trend: [],
  }));
}
