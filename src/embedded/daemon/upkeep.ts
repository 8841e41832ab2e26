import fs from 'node:fs';
import path from 'node:path';
import type { Multiplexer } from '../mux/multiplexer.js';
import { KeptCounters } from './kept-counters.js';

/** A checkpoint is due when the write-ahead log is larger than this. */
const walLimitBytes = 48 * 1024 * 1024;

/** Only what kept clients waiting for so long is worth a line in the log. */
const slowMs = 1_000;

/** Tables whose dead or new rows call for it, the neediest first. Thresholds as autovacuum's. */
const needySql = `
  SELECT pg_catalog.format('%I.%I', schema_name, table_name), vacuums
  FROM trace_console.table_counters JOIN pg_catalog.pg_class ON pg_class.oid = table_oid,
    LATERAL (SELECT dead_rows > 50 + 0.2 * rows OR inserted_since_vacuum > 1000 + 0.2 * rows
      OR pg_catalog.age(relfrozenxid) > 150000000 AS vacuums) AS need
  WHERE vacuums OR changed_since_analyze > 50 + 0.1 * rows
  ORDER BY dead_rows + changed_since_analyze DESC LIMIT 20`;

/**
 * What a server's background processes do and a single-user engine does not: checkpoints, vacuum,
 * statistics, and a look whether the engine still answers.
 */
export class Upkeep {
  readonly #multiplexer: Multiplexer;
  readonly #postgresFolder: string;
  readonly #log: (message: string) => void;
  readonly #counters: KeptCounters;
  readonly #timers: NodeJS.Timeout[] = [];
  #checkpointLsn: string | undefined;

  constructor(multiplexer: Multiplexer, postgresFolder: string, log: (message: string) => void) {
    this.#multiplexer = multiplexer;
    this.#postgresFolder = postgresFolder;
    this.#log = log;
    this.#counters = new KeptCounters(multiplexer);
  }

  /** Before clients come: what they may read of the counters is there. */
  prepare(): Promise<void> {
    return this.#quietly(() => this.#counters.prepare());
  }

  /** Begins the rounds. */
  begin(): void {
    const every = (ms: number, work: () => Promise<void>): void => {
      this.#timers.push(setInterval(() => void this.#quietly(work), ms));
    };
    every(10_000, () => this.checkpointWhenLarge());
    every(30_000, () => this.probe());
    every(60_000, async () => {
      await this.vacuum();
      await this.#counters.take();
    });
    every(300_000, () => this.checkpoint());
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /**
   * What is left to do before the engine closes. Its counters are lost with it. Vacuuming may take
   * a while: not when somebody has just been sent away.
   */
  async leave(unused: boolean): Promise<void> {
    if (unused) await this.#quietly(() => this.vacuum());
    await this.#quietly(() => this.#counters.take());
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#log(`upkeep: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The engine must answer with a row, or it is replaced. */
  async probe(): Promise<void> {
    try {
      const rows = await this.#multiplexer.background('SELECT 1', 5_000);
      if (rows[0]?.[0] === '1') return;
    } catch (error) {
      this.#log(`health probe: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.#log('health probe: the engine gave no row');
    await this.#multiplexer.replaceEngine();
  }

  /** Bytes of the write-ahead log's files. */
  walBytes(): number {
    const folder = path.join(this.#postgresFolder, 'pg_wal');
    let bytes = 0;
    for (const name of fs.readdirSync(folder)) {
      if (!/^[0-9A-F]{24}$/.test(name)) continue;
      bytes += fs.statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    }
    return bytes;
  }

  async checkpointWhenLarge(): Promise<void> {
    if (this.walBytes() > walLimitBytes) await this.checkpoint();
  }

  /** Writes everything to the table files, if anything was written since the last time. */
  async checkpoint(): Promise<void> {
    const lsnSql = 'SELECT pg_catalog.pg_current_wal_insert_lsn()';
    const before = (await this.#multiplexer.background(lsnSql))[0]?.[0];
    if (before === this.#checkpointLsn) return;
    await this.#multiplexer.background('CHECKPOINT');
    this.#checkpointLsn = (await this.#multiplexer.background(lsnSql))[0]?.[0] ?? undefined;
  }

  /** Vacuums and analyzes the tables that need it, one at a time between clients. */
  async vacuum(): Promise<void> {
    await this.#counters.prepare();
    for (const [table, vacuums] of await this.#multiplexer.background(needySql)) {
      if (typeof table !== 'string') continue;
      const begun = performance.now();
      const action = vacuums === 't' ? 'VACUUM (ANALYZE)' : 'ANALYZE';
      await this.#multiplexer.background(`${action} ${table}`, 120_000);
      const took = Math.round(performance.now() - begun);
      if (took > slowMs) this.#log(`${action} of one table took ${took} ms`);
    }
  }
}
