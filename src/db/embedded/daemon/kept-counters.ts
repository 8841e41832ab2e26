import { createHash } from 'node:crypto';
import { quoteLiteral } from '../../quote.js';
import type { Multiplexer } from '../mux/multiplexer.js';
import {
  keepIndexCounters,
  keepTableCounters,
  keptCountersSchema,
} from './kept-counters-schema.js';

const checksum = createHash('sha256').update(keptCountersSchema).digest('hex').slice(0, 16);

/** The comment tells by which text the tables and views were made. */
const isCurrentSql = `
SELECT pg_catalog.obj_description(pg_catalog.to_regclass('trace_console.table_counters'), 'pg_class') = '${checksum}'`;

const createSql = `
CREATE SCHEMA IF NOT EXISTS trace_console;
${keptCountersSchema};
COMMENT ON VIEW trace_console.table_counters IS ${quoteLiteral(checksum)}`;

/**
 * Keeps the statistics counters over the ends of the engine, in the views `index_counters` and
 * `table_counters` of the schema `trace_console`: taken every minute and before a close. What an
 * engine counted after the last time is lost when it is killed.
 */
export class KeptCounters {
  readonly #multiplexer: Multiplexer;

  constructor(multiplexer: Multiplexer) {
    this.#multiplexer = multiplexer;
  }

  /** Creates the tables and views where they are missing or of another version of the console. */
  async prepare(): Promise<void> {
    const rows = await this.#multiplexer.background(isCurrentSql);
    if (rows[0]?.[0] !== 't') await this.#multiplexer.background(createSql);
  }

  async take(): Promise<void> {
    await this.prepare();
    // A session tells its counters once a second at most; this says: now.
    await this.#multiplexer.background('SELECT pg_catalog.pg_stat_force_next_flush()');
    await this.#multiplexer.background(`${keepIndexCounters};${keepTableCounters}`);
  }
}
