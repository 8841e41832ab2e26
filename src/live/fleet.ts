import { hasRowsOnWorkers, type Capabilities } from '../db/capabilities.js';
import type { Database } from '../db/database.js';
import { asConsoleError, type ConsoleError } from '../db/errors.js';
import { readPolicy } from '../maintenance/retention/policy.js';
import { panes } from '../panes/registry.js';
import { within } from '../panes/reading/windows.js';
import { AlertWatch, type AlertRule } from './alerts/alert-watch.js';
import { systemClock, type Clock } from '../core/clock.js';
import { LiveEngine } from './engine.js';
import { Store } from './state.js';

/** A database of the fleet, and how it is opened. */
export type FleetSource = {
  name: string;
  /**
   * @param answersWithinMs a server that is silent for longer is given up
   * @throws ConsoleError
   */
  open(onProgress: (line: string) => void, answersWithinMs: number): Promise<Database>;
};

/** What one reading of a database said. */
export type FleetFigures = {
  version: string;
  standby: boolean;
  /** Started in the last five minutes, a minute; null: it has no traces that may be read. */
  tracesPerMinute: number | null;
  /** Of these, failed or timed out, a minute. */
  failuresPerMinute: number | null;
  /** Of the whole database; of a team of a Citus cluster: of its shards. */
  bytes: number;
  oldestAt: Date | null;
  /** What the retention policy archives after, as PostgreSQL says it: `90 days`; null: nothing is archived. */
  archiveAfter: string | null;
  /** The oldest trace is older than that by more than a day. */
  isOverdue: boolean;
  /** Of a standby: how far it is behind; of a primary: its slowest standby, ms. Null: there is none. */
  lagMs: number | null;
  /** The server's clock when it answered. */
  asOf: Date;
};

/** A line of the fleet. Immutable. */
export type FleetMember = {
  name: string;
  /** The last that was read; undefined before. */
  figures: FleetFigures | undefined;
  /** This machine's clock when the figures came, milliseconds since 1970. */
  readAtMs: number | undefined;
  /** Why the last attempt failed; undefined when it did not, or none has ended yet. */
  error: ConsoleError | undefined;
  /** Since when it has been asked without an answer, milliseconds since 1970; undefined: it answered. */
  waitsSinceMs: number | undefined;
  /** The alert rules that hold there; undefined: not known yet. */
  alerts: readonly string[] | undefined;
};

/** From one reading of a database to the next, ms. */
export const fleetCadenceMs = 5_000;
/** Alerts are about whole panes: they are read less often. */
const alertCadenceMs = 10_000;
const rateMinutes = 5;
const limits = { statementTimeoutMs: 4_000, lockTimeoutMs: 500, purpose: 'fleet' };

/**
 * Asks several databases side by side, each at its own pace: one that does not answer delays no other, and its line
 * says since when. Never throws. Knows nothing of the screen.
 */
export class Fleet {
  readonly #store: Store<{ members: readonly FleetMember[] }>;
  readonly #lines: readonly FleetLine[];

  constructor(
    sources: readonly FleetSource[],
    rules: readonly AlertRule[] = [],
    clock: Clock = systemClock,
  ) {
    const changed = () => this.#store.update({ members: this.#lines.map(({ member }) => member) });
    this.#lines = sources.map((source) => new FleetLine(source, rules, clock, changed));
    this.#store = new Store({ members: this.#lines.map(({ member }) => member) }, clock);
  }

  get members(): readonly FleetMember[] {
    return this.#store.getState().members;
  }

  /** Calls `listener` after changes, several at once; the result ends it. */
  get subscribe(): (listener: () => void) => () => void {
    return this.#store.subscribe;
  }

  start(): void {
    for (const line of this.#lines) line.start();
  }

  /** Asks each once; resolves when all have answered or failed. */
  async readOnce(): Promise<readonly FleetMember[]> {
    await Promise.all(this.#lines.map((line) => line.readOnce()));
    return this.members;
  }

  /** Asks all at once, also one that waits for its next attempt. */
  refresh(): void {
    for (const line of this.#lines) line.refresh();
  }

  /** Nothing is asked any more, and the connections are closed. */
  stop(): void {
    this.#store.close();
    for (const line of this.#lines) line.stop();
  }
}

/** One database: opened again and again until it answers, then read at a steady pace. */
class FleetLine {
  member: FleetMember;
  readonly #source: FleetSource;
  readonly #rules: readonly AlertRule[];
  readonly #clock: Clock;
  readonly #changed: () => void;
  #database: Database | undefined;
  #alerting: LiveEngine | undefined;
  #cancelTimer: (() => void) | undefined;
  #isReading = false;
  #isStopped = false;

  constructor(source: FleetSource, rules: readonly AlertRule[], clock: Clock, changed: () => void) {
    this.#source = source;
    this.#rules = rules;
    this.#clock = clock;
    this.#changed = changed;
    this.member = {
      name: source.name,
      figures: undefined,
      readAtMs: undefined,
      error: undefined,
      waitsSinceMs: undefined,
      alerts: rules.length === 0 ? [] : undefined,
    };
  }

  start(): void {
    void this.#goOn();
  }

  refresh(): void {
    if (this.#isReading) return;
    this.#cancelTimer?.();
    void this.#goOn();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#close();
  }

  async #goOn(): Promise<void> {
    await this.readOnce();
    if (this.#isStopped) return;
    this.#cancelTimer = this.#clock.after(fleetCadenceMs, () => void this.#goOn());
  }

  async readOnce(): Promise<void> {
    this.#isReading = true;
    const askedAtMs = this.#clock.wallNow();
    this.#change({ waitsSinceMs: this.member.waitsSinceMs ?? askedAtMs });
    try {
      const database = (this.#database ??= await this.#open());
      const figures = await readFigures(database);
      this.#change({
        figures,
        readAtMs: this.#clock.wallNow(),
        error: undefined,
        waitsSinceMs: undefined,
      });
    } catch (error) {
      this.#change({ error: asConsoleError(error) });
    } finally {
      this.#isReading = false;
      if (this.#isStopped) this.#close();
    }
  }

  async #open(): Promise<Database> {
    const database = await this.#source.open(() => undefined, fleetCadenceMs);
    if (this.#rules.length > 0 && !this.#isStopped) this.#watchAlerts(database);
    return database;
  }

  #watchAlerts(database: Database): void {
    const watch = new AlertWatch(this.#rules);
    const engine = new LiveEngine(database, {
      panes: panes.filter(({ id }) => watch.panes.includes(id)),
      watches: watch.watches,
      cadenceMs: alertCadenceMs,
      clock: this.#clock,
    });
    engine.subscribe(() => {
      const live = engine.getState();
      watch.see(live, this.#clock.wallNow());
      const seen = [...(live.watched?.values() ?? []), ...watch.panes.map((id) => live.panes[id])];
      const isRead = seen.some(({ asOf }) => asOf !== null);
      if (isRead) this.#change({ alerts: watch.state.active.map(({ rule }) => rule) });
    });
    engine.start();
    this.#alerting = engine;
  }

  #change(change: Partial<FleetMember>): void {
    if (this.#isStopped) return;
    this.member = { ...this.member, ...change };
    this.#changed();
  }

  #close(): void {
    void this.#alerting?.stop();
    this.#alerting = undefined;
    this.#database?.abandon().catch(() => undefined);
    this.#database = undefined;
  }
}

type FiguresRow = {
  now_ms: number;
  standby: boolean;
  bytes: number;
  traces: number | null;
  failed: number | null;
  oldest: Date | null;
  is_overdue: boolean;
  lag_ms: number | null;
};

/** A standby that has replayed everything it received is not behind, although an idle primary makes its last transaction old. */
const serverFigures = `date_part('epoch', clock_timestamp()) * 1000 AS now_ms,
  pg_is_in_recovery() AS standby,
  CASE WHEN NOT pg_is_in_recovery()
    THEN (SELECT max(1000 * date_part('epoch', COALESCE(replay_lag, interval '0'))) FROM pg_stat_replication WHERE state = 'streaming')
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE 1000 * date_part('epoch', now() - pg_last_xact_replay_timestamp())
  END AS lag_ms`;

/** A team of a Citus cluster has a schema; its rows lie on a worker. */
const shardBytes = `(SELECT COALESCE(sum(s.shard_size), 0)::float8 FROM pg_catalog.citus_shards AS s
   JOIN pg_class AS c ON c.oid = s.table_name WHERE c.relnamespace = current_schema()::regnamespace)`;
const databaseBytes = 'pg_database_size(current_database())::float8';

/** Reads the last minutes and the first entry of the index on started_at. */
const traceFigures = `(SELECT count(*) FROM execution_traces WHERE ${within('started_at', '$1', 'NULL')}) AS traces,
  (SELECT count(*) FROM execution_traces
   WHERE ${within('started_at', '$1', 'NULL')} AND status IN ('failed', 'timeout')) AS failed,
  oldest.at AS oldest,
  COALESCE(oldest.at < now() - $2::interval - interval '1 day', false) AS is_overdue`;

/** @throws ConsoleError */
async function readFigures(database: Database): Promise<FleetFigures> {
  const mayRead = ({ tables }: Capabilities) => tables.execution_traces?.select === true;
  // The schema may be applied, or a right granted, while the fleet is open.
  if (!mayRead(database.capabilities)) await database.refreshCapabilities();
  const { capabilities } = database;
  const { serverVersionText, schema } = capabilities;
  const hasTraces = mayRead(capabilities);
  const server = `${serverFigures},\n  ${hasRowsOnWorkers(capabilities) ? shardBytes : databaseBytes} AS bytes`;
  return database.transaction({ ...limits, readOnly: true }, async (tx) => {
    const policy = await readPolicy(tx, schema);
    const archiveAfter = policy?.archiveAfter ?? null;
    const { rows } = hasTraces
      ? await tx.query<FiguresRow>(
          `SELECT ${server},\n  ${traceFigures}\nFROM (SELECT min(started_at) AS at FROM execution_traces) AS oldest`,
          [rateMinutes * 60, archiveAfter],
        )
      : await tx.query<FiguresRow>(
          `SELECT ${server}, NULL::bigint AS traces, NULL::bigint AS failed, NULL::timestamptz AS oldest, false AS is_overdue`,
        );
    const [row] = rows;
    if (!row) throw new Error('a select without WHERE has one row');
    return {
      version: serverVersionText,
      standby: row.standby,
      tracesPerMinute: row.traces === null ? null : row.traces / rateMinutes,
      failuresPerMinute: row.failed === null ? null : row.failed / rateMinutes,
      bytes: row.bytes,
      oldestAt: row.oldest,
      archiveAfter,
      isOverdue: row.is_overdue,
      lagMs: row.lag_ms,
      asOf: new Date(row.now_ms),
    };
  });
}
