import { fittingInto } from '../../core/clock.js';
import type { Queryable } from '../../db/database.js';
import type { ReadRequest } from '../contract/pane.js';
import type { Range } from './slices.js';
import { sliceMsFor } from './windows.js';

/** A table whose rows are counted by a moment that they carry; there is an index by it. */
export type TimedTable = { table: string; at: string };

export const timed = {
  traces: { table: 'execution_traces', at: 'started_at' },
  hooks: { table: 'hook_executions', at: 'started_at' },
  calls: { table: 'endpoint_calls', at: 'started_at' },
  decisions: { table: 'agent_routing_decisions', at: 'created_at' },
  uses: { table: 'pattern_usage_log', at: 'used_at' },
} as const satisfies Readonly<Record<string, TimedTable>>;

/** What became of some tables since a reader looked last. */
export type Late = {
  /** Stretches of time to which rows came, or from which they went. */
  ranges: readonly Range[];
  /** Something was written lately, or it cannot be known. */
  isWritten: boolean;
};

/** Panes that are asked together look once. */
const sharedMs = 400;
/** A session tells of what it wrote a second later, one that fell silent after ten seconds. */
const toldWithinMs = 20_000;

/**
 * For one reader: which stretches of a window it must count again, because rows came late (an import, a restore,
 * telemetry that was held back). See {@link TableWatch}. Windows of a day and less are watched with the one before.
 */
export class LateRows {
  readonly #seen = new WeakMap<TableWatch, number>();
  #isUnwatched = false;

  async look(
    tx: Queryable,
    request: ReadRequest,
    tables: readonly TimedTable[],
    nowMs: number,
  ): Promise<Late> {
    const ranges: Range[] = [];
    // The watch begins with the next reading. What was kept until then counts as changed: nobody knows what came meanwhile.
    if (request.brief) {
      this.#isUnwatched = true;
      return { ranges, isWritten: false };
    }
    if (this.#isUnwatched) ranges.push({ fromMs: -Infinity, untilMs: Infinity });
    this.#isUnwatched = false;
    let isWritten = tables.length === 0;
    for (const table of tables) {
      const watch = watchOf(request, table);
      if (watch) {
        await watch.read(tx, nowMs, spanOf(request.windowMs));
        ranges.push(...watch.changedSince(this.#seen.get(watch) ?? watch.changes));
        this.#seen.set(watch, watch.changes);
        isWritten ||= nowMs - watch.writtenMs < toldWithinMs;
      } else isWritten = true;
    }
    return { ranges, isWritten };
  }
}

const dayMs = 86_400_000;
/** Of longer windows the newest month is watched. */
const longestSpanMs = 31 * dayMs;
const coarsestMs = 60_000;

function spanOf(windowMs: number): number {
  return Math.min(windowMs <= dayMs ? 2 * windowMs : windowMs, longestSpanMs);
}

const watches = new WeakMap<object, Map<string, TableWatch>>();

/** Undefined where the server's counters do not say what this role would see: on a standby and on a cluster's workers they stand still. */
function watchOf(
  { database, capabilities, shape, windowMs }: ReadRequest,
  table: TimedTable,
): TableWatch | undefined {
  const relation = shape.relations.get(table.table);
  const isCounted = relation !== undefined && ['r', 'p'].includes(relation.kind);
  if (!isCounted || capabilities.standby || shape.onWorkers.has(table.table)) return undefined;
  if (!relation.select || relation.filtered || !relation.columns.has(table.at)) return undefined;
  const known = watches.get(database) ?? new Map<string, TableWatch>();
  watches.set(database, known);
  const sliceMs = Math.min(sliceMsFor(windowMs), coarsestMs);
  const key = `${table.table} ${sliceMs}`;
  const watch = known.get(key) ?? new TableWatch(table, sliceMs, relation.kind === 'p');
  known.set(key, watch);
  return watch;
}

/** As that of the readers: a row that comes sooner after its time is none that came late. */
const overlapMs = 10_000;
/** What counting the past may take of one reading. */
const onceMs = 50;
const firstChunk = 240;
const firstStep = 4;
/** Between two looks for what may not be there: they take half a percent of a processor. */
const pauseMsOfRow = 0.02;
const shortestPauseMs = 1_000;
const longestPauseMs = 60_000;

type Walk = {
  /** The next slice to be counted; it goes back in time. */
  next: number;
  step: number;
  /** To the far end, also when all that is missing was found. */
  isWhole: boolean;
  /** Rows that were counted, and by how many the slices differ. */
  rows: number;
  found: number;
  /** Of these, more than were missing. */
  beyond: number;
};

/**
 * Finds where rows came late, whoever wrote them. PostgreSQL counts what is inserted into a table; the watch counts the rows of
 * the newest slices with each reading. When more was inserted than came there, the rest has an older time: the slices
 * before are counted again, the newest first, until as many are found. What is not found then is not of the window.
 *
 * The counters lag behind (a session tells once a second, and its last writes after ten), so that they say less than is there;
 * never more. What they say above what was found is therefore compared with the most that it has been. Where transactions have
 * ended of which no counter tells, all slices are counted. Each count is one scan of an index, 0.1 µs a row.
 */
class TableWatch {
  /** Each change of a slice has a number; the newest. */
  changes = 0;
  /** When it was last seen that something was written. */
  writtenMs = -Infinity;
  readonly #table: TimedTable;
  readonly #sliceMs: number;
  readonly #isPartitioned: boolean;
  /** Rows by slice; those without are absent. */
  readonly #counts = new Map<number, number>();
  readonly #changed = new Map<number, number>();
  #reading: Promise<void> | undefined;
  #readMs = -Infinity;
  #span = { ms: 0, askedMs: -Infinity };
  /** The first slice that is counted with each reading, and the oldest that was counted at all. */
  #open: number | undefined;
  #oldest = 0;
  #chunk = firstChunk;
  #counters: Counters = { inserted: 0, deleted: 0, writes: -1, transactions: '' };
  /** Rows that were seen to come. */
  #found = 0;
  /** The most by which the counter was above them; undefined: not known yet. */
  #most: number | undefined;
  #walk: Walk | undefined;
  #isDue = false;
  #pause = { untilMs: -Infinity, missing: 0 };
  #wholePauseUntilMs = -Infinity;

  constructor(table: TimedTable, sliceMs: number, isPartitioned: boolean) {
    this.#table = table;
    this.#sliceMs = sliceMs;
    this.#isPartitioned = isPartitioned;
  }

  /** @param spanMs how far back rows are of interest; the longest of those that several readers ask for holds */
  async read(tx: Queryable, nowMs: number, spanMs: number): Promise<void> {
    // Another pane's transaction may fail: this one asks the next time.
    await this.#reading?.catch(() => undefined);
    const span = this.#span;
    const isCovered = spanMs < span.ms && nowMs - span.askedMs < longestPauseMs;
    if (!isCovered) this.#span = { ms: spanMs, askedMs: nowMs };
    if (Math.abs(nowMs - this.#readMs) < sharedMs && spanMs <= span.ms) return;
    this.#reading = this.#readNow(tx, nowMs);
    try {
      await this.#reading;
    } finally {
      this.#reading = undefined;
    }
  }

  changedSince(change: number): Range[] {
    const ranges: Range[] = [];
    for (const [slice, at] of this.#changed) {
      if (at <= change) continue;
      ranges.push({ fromMs: slice * this.#sliceMs, untilMs: (slice + 1) * this.#sliceMs });
    }
    return ranges;
  }

  async #readNow(tx: Queryable, nowMs: number): Promise<void> {
    // The counters first: what they say is then among what is counted.
    const counters = await this.#readCounters(tx);
    const last = this.#counters;
    const foundBefore = this.#found;
    const edge = this.#sliceOf(nowMs - this.#span.ms);
    await this.#countOpen(tx, nowMs);
    const isTold = counters.writes !== last.writes;
    // Somebody wrote something, and nobody has told of it.
    const isSilent =
      !isTold && this.#found === foundBefore && counters.transactions !== last.transactions;
    if (isTold || isSilent) this.writtenMs = nowMs;
    this.#forgetBefore(edge);
    const isBuilt = await this.#build(tx, edge);
    this.#counters = counters;
    this.#readMs = nowMs;
    if (!isBuilt) return;
    const isFirst = this.#most === undefined;
    // Another server, or counters that were reset: nobody knows what came meanwhile.
    const beganAnew = counters.inserted < last.inserted || counters.deleted < last.deleted;
    if (beganAnew) this.#most = undefined;
    this.#isDue ||= beganAnew || isSilent || (!isFirst && counters.deleted > last.deleted);
    this.#most ??= counters.inserted - this.#found;
    await this.#look(tx, nowMs, edge);
  }

  #missing(): number {
    return this.#counters.inserted - this.#found - (this.#most ?? 0);
  }

  async #look(tx: Queryable, nowMs: number, edge: number): Promise<void> {
    const walk = (this.#walk ??= this.#begin(nowMs));
    if (!walk) return;
    const began = performance.now();
    while (walk.next > edge && (walk.isWhole || this.#missing() > 0)) {
      if (performance.now() - began > onceMs) return;
      const missing = Math.max(0, this.#missing());
      const first = Math.max(edge, walk.next - walk.step) + 1;
      const { rows, added, differing } = await this.#recount(tx, first, walk.next);
      walk.rows += rows;
      walk.found += differing;
      walk.beyond += Math.max(0, added - missing);
      walk.next = first - 1;
      walk.step *= 2;
    }
    this.#end(walk, nowMs);
  }

  #begin(nowMs: number): Walk | undefined {
    const missing = this.#missing();
    if (missing <= 0 && !this.#isDue) return undefined;
    // Rows of other times go on coming: unless they are many more than before, they are looked for less and less often.
    if (nowMs < this.#pause.untilMs && missing <= 2 * this.#pause.missing + 10) return undefined;
    const isWhole = this.#isDue || nowMs >= this.#wholePauseUntilMs;
    this.#isDue = false;
    return { next: (this.#open ?? 0) - 1, step: firstStep, isWhole, rows: 0, found: 0, beyond: 0 };
  }

  #end(walk: Walk, nowMs: number): void {
    this.#walk = undefined;
    const missing = Math.max(0, this.#missing());
    this.#most = (this.#most ?? 0) + missing;
    const pauseMs = Math.max(walk.rows * pauseMsOfRow, shortestPauseMs);
    const untilMs = nowMs + Math.min(pauseMs, longestPauseMs);
    if (walk.isWhole) {
      // More came than the counters said: what a session has not told yet may go on.
      this.#isDue ||= walk.beyond > 0;
      this.#wholePauseUntilMs = walk.beyond > 0 ? -Infinity : untilMs;
    }
    this.#pause = { untilMs: walk.found > 0 ? -Infinity : untilMs, missing };
  }

  /** What came to the newest slices since the last reading. */
  async #countOpen(tx: Queryable, nowMs: number): Promise<void> {
    const newest = this.#sliceOf(nowMs - overlapMs);
    const from = this.#open ?? newest;
    const counted = await this.#count(tx, from, Infinity);
    const isFirst = this.#open === undefined;
    for (let slice = from; slice <= this.#sliceOf(nowMs); slice += 1) {
      if (!counted.has(slice)) this.#put(slice, 0);
    }
    for (const [slice, rows] of counted) {
      if (!isFirst) this.#found += Math.max(0, rows - (this.#counts.get(slice) ?? 0));
      this.#put(slice, rows);
    }
    if (isFirst) this.#oldest = from;
    this.#open = newest;
  }

  /** Counts what was never counted, back to the far end. */
  async #build(tx: Queryable, edge: number): Promise<boolean> {
    const began = performance.now();
    while (this.#oldest > edge) {
      const before = performance.now();
      if (before - began > onceMs) return false;
      const first = Math.max(edge, this.#oldest - this.#chunk);
      for (const [slice, rows] of await this.#count(tx, first, this.#oldest - 1)) {
        this.#counts.set(slice, rows);
      }
      this.#oldest = first;
      const done = { size: this.#chunk, tookMs: performance.now() - before };
      const limits = { least: firstStep, most: 4 * this.#chunk };
      this.#chunk = Math.ceil(fittingInto(onceMs, done, limits));
    }
    return true;
  }

  async #recount(tx: Queryable, first: number, last: number) {
    const counted = await this.#count(tx, first, last);
    let [all, added, differing] = [0, 0, 0];
    for (let slice = first; slice <= last; slice += 1) {
      const [rows, before] = [counted.get(slice) ?? 0, this.#counts.get(slice) ?? 0];
      all += rows;
      if (rows === before) continue;
      differing += Math.abs(rows - before);
      added += Math.max(0, rows - before);
      this.#put(slice, rows);
    }
    this.#found += added;
    return { rows: all, added, differing };
  }

  #put(slice: number, rows: number): void {
    if (rows === (this.#counts.get(slice) ?? 0)) return;
    if (rows === 0) this.#counts.delete(slice);
    else this.#counts.set(slice, rows);
    this.#changed.set(slice, (this.changes += 1));
  }

  #forgetBefore(edge: number): void {
    for (; this.#oldest < edge; this.#oldest += 1) {
      this.#counts.delete(this.#oldest);
      this.#changed.delete(this.#oldest);
    }
  }

  #sliceOf(ms: number): number {
    return Math.floor(ms / this.#sliceMs);
  }

  /** Rows of some slices, the first and the last among them. */
  async #count(tx: Queryable, first: number, last: number): Promise<Map<number, number>> {
    const { rows } = await tx.query<{ slice: number; rows: number }>(
      lateRowsStatement(this.#table),
      [(first * this.#sliceMs) / 1000, ((last + 1) * this.#sliceMs) / 1000, this.#sliceMs / 1000],
    );
    return new Map(rows.map(({ slice, rows: count }) => [slice, count]));
  }

  async #readCounters(tx: Queryable) {
    const { rows } = await tx.query<Counters>(
      this.#isPartitioned ? countersOfPartitions : countersOfTable,
      [this.#table.table],
    );
    const [row] = rows;
    if (!row) throw new Error('an aggregate without rows');
    return row;
  }
}

type Counters = {
  inserted: number;
  deleted: number;
  /** Both, and rows that were updated. */
  writes: number;
  /** The first transaction that has not ended, of all that write. */
  transactions: string;
};

const counters = (table: string) => {
  const sum = (...kinds: readonly string[]) =>
    `COALESCE(sum(${kinds.map((kind) => `pg_stat_get_tuples_${kind}(${table})`).join(' + ')}), 0)::float8`;
  return `${sum('inserted')} AS inserted, ${sum('deleted')} AS deleted, ${sum('inserted', 'updated', 'deleted')} AS writes,
  pg_snapshot_xmax(pg_current_snapshot())::text AS transactions`;
};

/** What was written since the counters began. `$1`: the table. Shared memory only: 0.02 ms. */
const countersOfTable = `SELECT ${counters('to_regclass($1)::oid')}`;
const countersOfPartitions = `SELECT ${counters('relid')} FROM pg_partition_tree(to_regclass($1)::regclass)`;

/** Rows by slice of time, `$1 <= at < $2` (seconds since 1970; infinity is allowed), `$3`: slice in seconds. By the index alone. */
export const lateRowsStatement = ({ table, at }: TimedTable): string => `
SELECT floor(date_part('epoch', ${at}) / $3::float8) AS slice, count(*)::int AS rows
FROM ${table}
WHERE ${at} >= to_timestamp($1::float8) AND ${at} < to_timestamp($2::float8)
GROUP BY 1`;

/** What was written into some tables, for who only must know whether something was; undefined: it cannot be known. */
export async function writesOf(
  tx: Queryable,
  { capabilities, shape }: ReadRequest,
  tables: readonly TimedTable[],
): Promise<number | undefined> {
  const isPlain = ({ table }: TimedTable) => {
    const relation = shape.relations.get(table);
    return relation?.kind === 'r' && !shape.onWorkers.has(table);
  };
  const known = tables.filter(({ table }) => shape.relations.has(table));
  if (capabilities.standby || !known.every(isPlain)) return undefined;
  const { rows } = await tx.query<{ writes: number }>(
    `SELECT ${counters('to_regclass(name)::oid')} FROM unnest($1::text[]) AS name`,
    [known.map(({ table }) => table)],
  );
  return rows[0]?.writes;
}
