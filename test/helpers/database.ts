import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished, TestRunner } from 'vitest';
import { afterFile } from './end-of-file.js';
import { testEngine } from './engine.js';
import { testServer } from './server.js';
import { databaseUrl, runOnce } from './template.js';

/** How long a closed connection may take until the server has noticed. */
const grace = 2_000;

export type TestDatabaseOptions = {
  /** True (the default): with all schema files applied, and their extensions. False: empty. */
  schema?: boolean;
  /** With `schema: false`: create the extensions `vector` and `uuid-ossp`. Default false. */
  extensions?: boolean;
};

export type TestDatabase = {
  url: string;
  name: string;
  pool: pg.Pool;
  query<Row extends pg.QueryResultRow>(
    sql: string,
    params?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
  /**
   * Drops the database; called by itself at the end of the test file.
   *
   * @throws Error when connections other than this object's are still open: whoever opened them did not close them.
   */
  drop(): Promise<void>;
};

const open = new Set<TestDatabase>();
let count = 0;

/**
 * Creates a database for this test file, a clone of the template that the run built from the schema files (about 50 ms;
 * on the embedded engine about 1 s).
 *
 * Roles belong to the whole server and are therefore not made here: a test that needs Supabase's roles starts a private
 * server. The roles of the shared server are those that it came with.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  return testEngine === 'embedded' ? createOnEngine(options) : createOnServer(options);
}

async function createOnServer(options: TestDatabaseOptions): Promise<TestDatabase> {
  const server = testServer();
  const { schema = true, extensions = false } = options;
  count += 1;
  const name = `${server.databasePrefix}_${process.pid}_${count}`;
  await runOnce(
    server.adminUrl,
    `CREATE DATABASE ${name} TEMPLATE ${schema ? server.template : 'template0'}`,
  );
  const url = databaseUrl(server.adminUrl, name);
  if (!schema && extensions) {
    await runOnce(url, 'CREATE EXTENSION vector; CREATE EXTENSION "uuid-ossp"');
  }
  return track(url, name, async () => {
    const leaked = await leakedConnections(server.adminUrl, name);
    await runOnce(server.adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    return leaked.map(describe);
  });
}

async function createOnEngine(options: TestDatabaseOptions): Promise<TestDatabase> {
  const { schema = true, extensions = false } = options;
  // The engine is loaded with it, which a run on a server does not need.
  const { createEmbeddedDatabase } = await import('./embedded-database.js');
  const embedded = await createEmbeddedDatabase({ schema, extensions });
  const database = track(embedded.url, 'postgres', async () => {
    const leaked = await embedded.leaked();
    await embedded.remove();
    return leaked > 0 ? [`  ${leaked} clients`] : [];
  });
  // Each has a daemon: what one test made does not stay until the end of the file, unless in use.
  if (TestRunner.getCurrentTest()) {
    onTestFinished(async () => {
      if (!database.pool.ended) await database.pool.end();
      if ((await embedded.leaked()) === 0) await database.drop();
    });
  }
  return database;
}

/** @param remove drops the database and names the connections that were still open */
function track(url: string, name: string, remove: () => Promise<string[]>): TestDatabase {
  const pool = new pg.Pool({ connectionString: url, max: 5 });
  // An idle connection that the server ends (a test may terminate it) must not end the test run.
  pool.on('error', () => undefined);
  const database: TestDatabase = {
    url,
    name,
    pool,
    query: (sql, params) => ask(pool, sql, params),
    async drop() {
      if (!open.delete(database)) return;
      if (!pool.ended) await pool.end();
      const leaked = await remove();
      if (leaked.length > 0) {
        throw new Error(`connections leaked in ${name}:\n${leaked.join('\n')}`);
      }
    },
  };
  open.add(database);
  return database;
}

/**
 * The server tells an error before its session has let go of locks: whoever asks next, in another session, would meet them. So
 * that session's end is waited for.
 */
async function ask<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  sql: string,
  params?: unknown[],
): Promise<pg.QueryResult<Row>> {
  const client = await pool.connect();
  try {
    const result = await client.query<Row>(sql, params);
    client.release();
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    client.release(true);
    throw error;
  }
}

/** Drops what the test file left; all are dropped before the first error is thrown. */
async function dropAllTestDatabases(): Promise<void> {
  const results = await Promise.allSettled([...open].map((database) => database.drop()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
afterFile('databases', dropAllTestDatabases);

type Connection = { pid: number; application_name: string; state: string | null; query: string };

async function leakedConnections(adminUrl: string, name: string): Promise<Connection[]> {
  const deadline = Date.now() + grace;
  for (;;) {
    const rows = await runOnce<Connection>(
      adminUrl,
      `SELECT pid, application_name, state, left(query, 200) AS query FROM pg_stat_activity
        WHERE datname = $1 AND backend_type IN ('client backend', 'walsender')`,
      [name],
    );
    if (rows.length === 0 || Date.now() > deadline) return rows;
    await sleep(50);
  }
}

function describe({ pid, application_name, state, query }: Connection): string {
  return `  pid ${pid} ${application_name || '(no application_name)'} ${state ?? ''}: ${query}`;
}
