import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { beforeAll, expect, it } from 'vitest';
import { coreTables } from '../../src/core/tables.js';
import { deployFirstRelease, migrations } from '../deploy/first-release.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';
import { addTraces } from '../e2e/helpers/console-rows.js';

let server: PrivateServer;
/** A dump of the schema of a fresh deployment. */
let fresh: string;

beforeAll(async () => {
  server = await startPrivateServer();
  await runOnce(server.adminUrl, 'CREATE DATABASE fresh');
  expect(await apply('fresh')).toMatchObject({ exitCode: 0 });
  fresh = await schemaOf('fresh');
  await runOnce(server.adminUrl, 'CREATE DATABASE before');
  const client = await connect('before');
  await deployFirstRelease(server.url('before'));
  await addTraces(client, 300);
  await client.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
     SELECT n::text, 'fix', (SELECT array_agg(sin(n * i))::vector FROM generate_series(1, 1536) AS i)
     FROM generate_series(1, 20) AS n`,
  );
  await client.query(
    `UPDATE execution_traces SET started_at = started_at - interval '200 days', completed_at = completed_at - interval '200 days'
     WHERE prompt_text ~ '0$'; SELECT archive_traces(interval '90 days')`,
  );
  await client.end();
});

function apply(database: string, onStart?: Parameters<typeof runCli>[1]) {
  return runCli(['schema', 'apply', '--yes', '--url', server.url(database)], onStart);
}

async function schemaOf(database: string): Promise<string> {
  const dump = await server.process.tool('pg_dump', [
    ...['--schema-only', `--host=${server.socketFolder}`, `--port=${server.port}`],
    ...[`--username=${server.user}`, database],
  ]);
  return dump.replace(/^\\(un)?restrict .*$/gm, '');
}

async function connect(database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url(database) });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Count and hash of the rows from before the writers, by table. */
async function dataOf(database: string): Promise<unknown> {
  const client = await connect(database);
  const sums: unknown[] = [];
  for (const table of [...coreTables, 'execution_traces_archive', 'hook_executions_archive']) {
    const { rows } = await client.query(
      `SELECT count(*)::int AS n, md5(string_agg(md5(t::text), '' ORDER BY id)) AS sum FROM ${table} AS t
       WHERE ${table === 'execution_traces' ? `source <> 'service'` : 'true'}`,
    );
    sums.push([table, rows]);
  }
  await client.end();
  return sums;
}

/** Writes and reads as a service of the first release does, until it is stopped; what fails is thrown at its end. */
class Service {
  readonly #done = new AbortController();
  readonly #running: Promise<void>;
  written = 0;

  constructor(
    readonly database: string,
    /** The server may go away under it. */
    readonly isPatient: boolean,
  ) {
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#done.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let client = await connect(this.database);
    while (!this.#done.signal.aborted) {
      try {
        await this.#once(client);
      } catch (error) {
        if (!this.isPatient) throw error;
        await client.end().catch(() => undefined);
        const next = await connect(this.database).catch(() => undefined);
        if (next) client = next;
        else await sleep(50);
      }
    }
    await client.end();
  }

  async #once(client: pg.Client): Promise<void> {
    await client.query('BEGIN');
    await client.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'service', 'in_progress')`,
    );
    await client.query('COMMIT');
    this.written += 1;
    await client.query(
      `UPDATE execution_traces SET status = 'completed' WHERE status = 'in_progress'`,
    );
    // Held for a moment, so that a file waits in its middle for a view that is in use.
    await client.query('BEGIN');
    await client.query('SELECT * FROM dashboard_summary, agent_performance');
    await client.query(
      `SELECT * FROM find_similar_patterns((SELECT prompt_embedding FROM success_patterns LIMIT 1), 0.1, 3)`,
    );
    await sleep(20);
    await client.query('COMMIT');
  }
}

/** The views and functions that a file replaces and the index that one makes, as they are: one text where the file is there whole, another where it is not. */
async function stateOf(database: string): Promise<{ ledger: string[]; objects: unknown[] }> {
  const rows = async (sql: string) =>
    (await runOnce<{ text: string }>(server.url(database), sql)).map(({ text }) => text);
  return {
    ledger: await rows(
      `SELECT file AS text FROM trace_console.schema_files WHERE target_schema = 'public' AND file > '013_z' ORDER BY file`,
    ),
    objects: await rows(
      `SELECT 'view ' || relname || md5(pg_get_viewdef(oid)) AS text FROM pg_class
       WHERE relname IN ('agent_performance', 'dashboard_summary', 'error_analysis')
       UNION ALL
       SELECT 'function ' || proname || md5(pg_get_functiondef(oid)) FROM pg_proc
       WHERE proname IN ('maintain_derived_columns', 'find_similar_patterns', 'get_trace_timeline')
       UNION ALL
       SELECT 'index ' || indexdef FROM pg_indexes WHERE indexname = 'execution_traces_archive_tags_idx' ORDER BY text`,
    ),
  };
}

it('brings a deployment of the first release forward under its service, killed at random: each file whole or not at all', async () => {
  // What each number of files makes.
  const states: Awaited<ReturnType<typeof stateOf>>[] = [];
  await clone('steps');
  for (const { sql } of [undefined, ...migrations].map((file) => file ?? { sql: 'SELECT' })) {
    await runOnce(server.url('steps'), sql);
    states.push(await stateOf('steps'));
  }
  const lastsMs = await measured();
  const rounds = 6;
  const reached: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await clone('deployed');
    const before = await dataOf('deployed');
    const killsServer = round % 3 === 2;
    const services = [0, 1].map(() => new Service('deployed', killsServer));
    let killing: Promise<void> | undefined;
    const killed = await apply('deployed', {
      onStart: (child) => {
        // From its first connection on, within the time that the whole takes: each round in its own part of it.
        killing = connected(child, 'deployed').then(async () => {
          await sleep(((round + Math.random()) / rounds) * lastsMs);
          if (child.exitCode !== null) return;
          if (killsServer) await server.kill9();
          else child.kill('SIGKILL');
        });
      },
    });
    await killing;
    if (killsServer && !server.running) await server.start();
    const now = await settled('deployed');
    const position = states.findIndex(({ objects }) => String(objects) === String(now.objects));
    expect(position, `${String(now.objects)}\n${killed.stderr}`).toBeGreaterThanOrEqual(0);
    // A file and its line in the ledger are one transaction.
    expect(now.ledger).toEqual(migrations.slice(0, position).map(({ name }) => name));
    reached.push(position);

    const { exitCode, stderr } = await apply('deployed');
    expect(exitCode, stderr).toBe(0);
    for (const service of services) await service.stop();
    expect(await schemaOf('deployed')).toBe(fresh);
    expect(await dataOf('deployed')).toEqual(before);
    const [service] = await runOnce<{ n: number }>(
      server.url('deployed'),
      `SELECT count(*)::int AS n FROM execution_traces WHERE source = 'service'`,
    );
    const written = services.reduce((sum, one) => sum + one.written, 0);
    if (killsServer) expect(service?.n).toBeGreaterThanOrEqual(written);
    else expect(service?.n).toBe(written);
  }
  expect((await runCli(['schema', 'verify', '--url', server.url('deployed')])).exitCode).toBe(0);
  expect((await runCli(['runs', '--json', '--url', server.url('deployed')])).stdout).toContain(
    'Archived 12 traces',
  );
  console.log(`killed after ${reached.join(', ')} of ${migrations.length} files`);
}, 300_000);

/** How long the whole takes under the service, from the first connection on. */
async function measured(): Promise<number> {
  await clone('deployed');
  const service = new Service('deployed', false);
  let begun = 0;
  await apply('deployed', {
    onStart: (child) => void connected(child, 'deployed').then(() => (begun = performance.now())),
  });
  const lastsMs = performance.now() - begun;
  await service.stop();
  return lastsMs;
}

const ofConsole = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'trace-console'`;

async function connected(child: ChildProcess, database: string): Promise<void> {
  const client = await connect(database);
  while (child.exitCode === null && (await client.query(ofConsole)).rowCount === 0) await sleep(5);
  await client.end();
}

async function clone(name: string): Promise<void> {
  await runOnce(server.adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await runOnce(server.adminUrl, `CREATE DATABASE ${name} TEMPLATE before`);
}

/** Once the backend of what was killed has ended, too. */
async function settled(database: string): ReturnType<typeof stateOf> {
  await expect
    .poll(() => runOnce(server.url(database), ofConsole), { timeout: 30_000 })
    .toEqual([]);
  return stateOf(database);
}
