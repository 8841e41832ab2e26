import { resolveSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

/** The tables that events become, without what depends on when and in how many batches they were written. */
const dumped = [
  ['execution_traces', `- 'created_at' - 'updated_at'`],
  ['agent_routing_decisions', `- 'updated_at'`],
  ['hook_executions', `- 'created_at' - 'updated_at'`],
  ['endpoint_calls', `- 'created_at' - 'updated_at'`],
] as const;

/** Rows by table, each as JSON, in order of their ids. */
export type Dump = Record<string, unknown[]>;

/** What the tables hold. */
export async function dumpOf(test: TestDatabase): Promise<Dump> {
  const parts = dumped.map(
    ([table, without]) =>
      `'${table}', (SELECT coalesce(json_agg(to_jsonb(t) ${without} ORDER BY t.id), '[]') FROM ${table} AS t)`,
  );
  const { rows } = await test.query<{ dump: Dump }>(
    `SELECT json_build_object(${parts.join(', ')}) AS dump`,
  );
  const [row] = rows;
  if (!row) throw new Error('no dump');
  return row.dump;
}

/** A database for a test file, cleared between its tests. */
export class IngestDatabase {
  readonly database: Database;
  readonly test: TestDatabase;

  private constructor(test: TestDatabase, database: Database) {
    this.test = test;
    this.database = database;
  }

  static async create(): Promise<IngestDatabase> {
    const test = await createTestDatabase();
    const source = resolveSource({ url: test.url, environment: {} });
    if (source.kind !== 'server') throw new Error('no server');
    return new IngestDatabase(test, await Database.open(source));
  }

  /** As if nothing had been brought in yet. */
  async clear(): Promise<void> {
    await this.test.query(
      `DELETE FROM execution_traces;
       DO $$ BEGIN
         IF to_regclass('trace_console.agent_sessions') IS NOT NULL THEN
           DELETE FROM trace_console.agent_sessions;
           DELETE FROM trace_console.ingest_files;
         END IF;
       END $$`,
    );
  }

  /** What the tables hold. */
  dump(): Promise<Dump> {
    return dumpOf(this.test);
  }

  async count(table: string, where = 'true'): Promise<number> {
    const { rows } = await this.test.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${table} WHERE ${where}`,
    );
    return rows[0]?.count ?? 0;
  }

  async close(): Promise<void> {
    await this.database.close();
  }
}
