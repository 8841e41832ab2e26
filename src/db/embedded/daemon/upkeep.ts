import fs from 'node:fs';
import path from 'node:path';
import type { Multiplexer } from '../mux/multiplexer.js';

/** A checkpoint is due when the write-ahead log is larger than this. */
const walLimitBytes = 48 * 1024 * 1024;

/** Only what kept clients waiting for so long is worth a line in the log. */
const slowMs = 1_000;

/** Tables whose dead or new rows call for it, the neediest first. Thresholds as autovacuum's. */
const needySql = (least: number): string => `
  SELECT pg_catalog.format('%I.%I', schemaname, s.relname),
         n_dead_tup > ${least} + 0.2 * n_live_tup OR n_ins_since_vacuum > 20 * ${least} + 0.2 * n_live_tup
           OR pg_catalog.age(relfrozenxid) > 150000000
  FROM pg_catalog.pg_stat_user_tables s JOIN pg_catalog.pg_class ON pg_class.oid = relid
  WHERE relpersistence = 'p'
    AND (n_dead_tup > ${least} + 0.2 * n_live_tup
      OR n_ins_since_vacuum > 20 * ${least} + 0.2 * n_live_tup
      OR n_mod_since_analyze > ${least} + 0.1 * n_live_tup
      OR pg_catalog.age(relfrozenxid) > 150000000)
  ORDER BY n_dead_tup + n_mod_since_analyze DESC LIMIT 20`;

/**
 * What a server's background processes do and a single-user engine does not: checkpoints, vacuum,
 * statistics, and a look whether the engine still answers.
 */
export class Upkeep {
  readonly #multiplexer: Multiplexer;
  readonly #postgresFolder: string;
  readonly #log: (message: string) => void;
  #checkpointLsn: string | undefined;

  constructor(multiplexer: Multiplexer, postgresFolder: string, log: (message: string) => void) {
    this.#multiplexer = multiplexer;
    this.#postgresFolder = postgresFolder;
    this.#log = log;
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

  /**
   * Vacuums and analyzes the tables that need it, one at a time between clients.
   * @param least rows that make a table worth it: PostgreSQL's 50, less at the end of a daemon
   * because the counters of changed rows are lost with the engine.
   */
  async vacuum(least = 50): Promise<void> {
    for (const [table, vacuums] of await this.#multiplexer.background(needySql(least))) {
      if (typeof table !== 'string') continue;
      const begun = performance.now();
      const action = vacuums === 't' ? 'VACUUM (ANALYZE)' : 'ANALYZE';
      await this.#multiplexer.background(`${action} ${table}`, 120_000);
      const took = Math.round(performance.now() - begun);
      if (took > slowMs) this.#log(`${action} of one table took ${took} ms`);
    }
  }
}
