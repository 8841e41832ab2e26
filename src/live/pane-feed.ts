import type { Database, Queryable, TransactionOptions } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { looksBack, type AnyPaneResult, type PaneReader } from '../panes/contract/pane.js';
import type { AnyPane } from '../panes/registry.js';
import { shapeNotes, unmetNeed, type SchemaShape } from '../panes/contract/shape.js';
import type { Clock } from '../core/clock.js';
import type { PaneSnapshot } from './state.js';
import { boundedText } from '../db/quote.js';

/**
 * Runs transactions and adds up what their statements cost the server: the time from asking to the
 * answer, less one round trip of the network. The round trip is the fastest statement seen so far, which
 * is never more than any statement took.
 */
export class CostMeter {
  readonly #database: Database;
  #roundTripMs = Infinity;

  constructor(database: Database) {
    this.#database = database;
  }

  /** After a reconnect the way to the server may be another. */
  reset(): void {
    this.#roundTripMs = Infinity;
  }

  /** A read-only transaction; `spent` is told what each of its statements cost, in milliseconds. */
  transaction<Result>(
    options: TransactionOptions,
    spent: (costMs: number) => void,
    work: (tx: Queryable) => Promise<Result>,
  ): Promise<Result> {
    const answered: TransactionOptions['answered'] = ({ elapsedMs, isAlone }) => {
      if (isAlone) this.#roundTripMs = Math.min(this.#roundTripMs, elapsedMs);
      spent(isAlone ? elapsedMs - this.#roundTripMs : elapsedMs);
    };
    const wanted = { ...options, readOnly: true, tellsTime: true, answered };
    return this.#database.transaction(wanted, work);
  }
}

export type Reading = {
  windowMs: number;
  stuckAfterMs: number;
  budgetUsdPerDay?: number | undefined;
  shape: SchemaShape;
  /** See {@link ReadRequest}. */
  brief?: boolean;
};

/** What chooses the rows of a pane. Each combination has a reader of its own. */
type Choice = {
  variant?: string | undefined;
  grouping?: string | undefined;
  filter?: string | undefined;
};

/** The note of a pane that cannot look back, while the others show a moment in the past. */
const showsNow = 'shows now: it cannot look back';

/** Reads one pane again and again, and turns each outcome into its next snapshot. */
export class PaneFeed {
  readonly pane: AnyPane;
  exact = false;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #meter: CostMeter;
  #reader: PaneReader<object, object>;
  /** The reader for moments in the past. A separate one, so that what the reader of now keeps (slices, the tail) stays valid. */
  #pastReader: PaneReader<object, object> | undefined;
  /** The chosen moment in the past, for a pane that looks back. */
  #untilMs: number | undefined;
  /** The reader for a filter. A separate one, so that the unfiltered tail continues where it was. */
  #filteredReader: PaneReader<object, object> | undefined;
  #choice: Choice;
  #snapshot: PaneSnapshot;
  #forgets = false;
  /** All is to be counted anew, if it is not being so anyhow. */
  #wantsAnew = false;
  /** When the last piece came of a window that is read in pieces (ms); undefined: it is whole. */
  #pieceAtMs: number | undefined;

  constructor(pane: AnyPane, database: Database, clock: Clock, meter: CostMeter) {
    this.pane = pane;
    this.#database = database;
    this.#clock = clock;
    this.#meter = meter;
    this.#reader = pane.createReader();
    this.#choice = { variant: pane.variants?.[0].id, grouping: pane.groupings?.[0].id };
    this.#snapshot = emptySnapshot(pane);
  }

  get snapshot(): PaneSnapshot {
    return this.#snapshot;
  }

  /**
   * Shows the window that ends at a moment in the past; undefined: now. The rows that are there are of another
   * moment until the next reading: they count as being fetched.
   */
  setUntil(untilMs: number | undefined): void {
    if (!looksBack(this.pane)) {
      const notes = this.#snapshot.notes.filter((note) => note !== showsNow);
      this.#snapshot = { ...this.#snapshot, notes: this.#notes(notes, untilMs) };
      this.#untilMs = untilMs;
      return;
    }
    if (this.#untilMs === untilMs) return;
    this.#untilMs = untilMs;
    if (this.#snapshot.asOf) this.#snapshot = { ...this.#snapshot, loading: { share: 0 } };
  }

  /** @returns whether the pane has another variant of that id */
  setVariant(variant: string): boolean {
    if (!this.pane.variants?.some(({ id }) => id === variant)) return false;
    return this.#choose({ ...this.#choice, variant });
  }

  /** @returns whether the pane has another grouping of that id */
  setGrouping(grouping: string): boolean {
    if (!this.pane.groupings?.some(({ id }) => id === grouping)) return false;
    return this.#choose({ ...this.#choice, grouping });
  }

  /** What the server is asked to filter the rows by; absent: nothing. */
  get filter(): string | undefined {
    return this.#choice.filter;
  }

  /** @returns whether it is another one, of a pane that asks the server for it; '' for none */
  setFilter(text: string): boolean {
    if (!this.pane.asksFilter) return false;
    const filter = text === '' ? undefined : text;
    return this.#choose({ ...this.#choice, filter });
  }

  /** For another choice: starts a new reader; the rows of the old choice count as being fetched until the first answer. */
  #choose(choice: Choice): boolean {
    const { variant, grouping, filter } = this.#choice;
    const isSameFilter = choice.filter === filter;
    if (choice.variant === variant && choice.grouping === grouping && isSameFilter) return false;
    this.#choice = choice;
    if (isSameFilter) this.#reader = this.pane.createReader();
    this.#pastReader = this.#filteredReader = undefined;
    const loading = this.#snapshot.asOf ? { share: 0 } : null;
    const shown = { variant: choice.variant, grouping: choice.grouping };
    this.#snapshot = { ...this.#snapshot, ...shown, loading };
    return true;
  }

  /** @returns the next snapshot, and what the reading cost the server, successful or not. */
  async read(reading: Reading): Promise<{ snapshot: PaneSnapshot; costMs: number }> {
    const { pane, exact } = this;
    const untilMs = looksBack(pane) ? this.#untilMs : undefined;
    let costMs = 0;
    // Not reset at once: a reading under way would store its old counts afterwards.
    if (this.#forgets || (this.#wantsAnew && !this.#isInPieces)) this.reset();
    this.#wantsAnew = false;
    const choice = this.#choice;
    try {
      const unmet = unmetNeed(pane.needs, reading.shape);
      if (unmet) throw unmet;
      const result = await this.#readerOf(untilMs).read({
        ...reading,
        untilMs,
        ...choice,
        capabilities: this.#database.capabilities,
        database: this.#database,
        exact,
        transaction: (work) =>
          this.#meter.transaction(
            {
              ...pane.limits,
              purpose: pane.id,
              ...(exact ? { statementTimeoutMs: exactTimeoutMs } : {}),
            },
            (spent) => (costMs += spent),
            work,
          ),
      });
      this.#pieceAtMs = result.loading ? this.#clock.now() : undefined;
      this.#snapshot = this.#good(result, { costMs, exact, untilMs, shape: reading.shape, choice });
    } catch (failure) {
      const error = await this.#explain(failure);
      // Rows of another moment must not look like those of this one.
      const last = this.#snapshot.untilMs === untilMs ? this.#snapshot : this.#withoutRows();
      this.#snapshot = { ...last, error, stale: last.asOf !== null };
      // Waiting for a lock or for its turn costs no processor time; any other failure may have cost some.
      if (error.code === 'lock_timeout' || error.code === 'busy') costMs = 0;
    }
    return { snapshot: this.#snapshot, costMs };
  }

  /** The snapshot with its interval, which only the schedule knows. */
  withInterval(intervalMs: number): PaneSnapshot {
    if (this.#snapshot.intervalMs !== intervalMs) {
      this.#snapshot = { ...this.#snapshot, intervalMs };
    }
    return this.#snapshot;
  }

  /** Forgets what was counted, before the next reading: rows of the past have changed. */
  forget(): void {
    this.#forgets = true;
  }

  /** As {@link forget}, but lets a window that is being read in pieces come to its end: with each press it would begin again. */
  countAnew(): void {
    this.#wantsAnew = true;
  }

  get #isInPieces(): boolean {
    return this.#pieceAtMs !== undefined && this.#clock.now() - this.#pieceAtMs < betweenPiecesMs;
  }

  /** After a reconnect; the last good rows stay until there are new ones. */
  reset(): void {
    this.#forgets = false;
    this.#reader.reset?.();
    this.#pastReader?.reset?.();
    this.#filteredReader?.reset?.();
  }

  #readerOf(untilMs: number | undefined): PaneReader<object, object> {
    if (untilMs === undefined) {
      if (this.#choice.filter === undefined) return this.#reader;
      return (this.#filteredReader ??= this.pane.createReader());
    }
    return (this.#pastReader ??= this.pane.createReader());
  }

  #withoutRows(): PaneSnapshot {
    const { intervalMs } = this.#snapshot;
    return { ...emptySnapshot(this.pane), intervalMs };
  }

  #notes(notes: readonly string[], untilMs: number | undefined): readonly string[] {
    return untilMs === undefined || looksBack(this.pane) ? notes : [showsNow, ...notes];
  }

  #good(
    result: AnyPaneResult,
    how: {
      costMs: number;
      exact: boolean;
      untilMs: number | undefined;
      shape: SchemaShape;
      choice: Choice;
    },
  ): PaneSnapshot {
    const { costMs, exact, untilMs, shape, choice } = how;
    const notes = [...result.notes, ...shapeNotes(this.pane.needs, shape)];
    // Another moment, or another variant, was chosen while this was read.
    const isOld = choice !== this.#choice || (looksBack(this.pane) && untilMs !== this.#untilMs);
    return {
      ...this.#snapshot,
      rows: result.rows,
      extras: result.extras,
      asOf: result.asOf,
      receivedAtMs: this.#clock.now(),
      costMs,
      error: null,
      stale: false,
      notes: this.#notes(notes, this.#untilMs),
      loading: isOld ? { share: 0 } : (result.loading ?? null),
      exact,
      untilMs,
      filter: choice.filter,
    };
  }

  /** A lock time-out says who holds the lock. */
  async #explain(failure: unknown): Promise<ConsoleError> {
    const error =
      failure instanceof ConsoleError
        ? failure
        : new ConsoleError(
            'internal',
            failure instanceof Error ? failure.message : String(failure),
            {
              cause: failure,
            },
          );
    if (error.code !== 'lock_timeout') return error;
    return (await whoLocks(this.#database, Object.keys(this.pane.needs), error)) ?? error;
  }
}

const exactTimeoutMs = 30_000;

/** The next piece of a window is asked for at once; after so long nobody is at it. */
const betweenPiecesMs = 10_000;

export function emptySnapshot(pane: AnyPane): PaneSnapshot {
  return {
    id: pane.id,
    rows: [],
    extras: undefined,
    asOf: null,
    receivedAtMs: null,
    costMs: null,
    intervalMs: pane.minIntervalMs,
    error: null,
    stale: false,
    notes: [],
    loading: null,
    ...(pane.variants ? { variant: pane.variants[0].id } : {}),
    ...(pane.groupings ? { grouping: pane.groupings[0].id } : {}),
    exact: false,
  };
}

/**
 * Sessions that hold, or queue for, an ACCESS EXCLUSIVE lock on a relation of `$1` (schema), `$2`
 * (names; NULL: any): whoever reads it now waits. Reads shared memory, takes no lock itself.
 */
export const lockHoldersStatement = `
SELECT c.relname::text AS relation, l.pid, l.granted, ${boundedText('a.query', 120)} AS query,
  a.application_name AS application
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid()
  AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND c.relname = ANY ($2)
ORDER BY l.granted DESC, l.pid`;

export type LockHolderRow = {
  relation: string;
  pid: number;
  granted: boolean;
  query: string | null;
  application: string | null;
};

/**
 * The same failure with the name of who holds the lock; undefined when it is free again, or when
 * nobody can be asked.
 */
async function whoLocks(
  database: Database,
  relations: readonly string[],
  error: ConsoleError,
): Promise<ConsoleError | undefined> {
  try {
    const holders = await database.read<LockHolderRow>(lockHoldersStatement, [
      database.capabilities.schema,
      relations,
    ]);
    const [holder] = holders;
    if (!holder) return undefined;
    const verb = holder.granted ? 'is locked by' : 'waits to be locked by';
    return new ConsoleError('lock_timeout', `${holder.relation} ${verb} pid ${holder.pid}.`, {
      hint: holder.query ? `It runs: ${holder.query}` : 'Its query is not shown to this role.',
      cause: error,
      ...(error.sqlState === undefined ? {} : { sqlState: error.sqlState }),
    });
  } catch {
    return undefined;
  }
}
