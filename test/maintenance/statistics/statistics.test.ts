import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database, DatabaseOptions } from '../../../src/db/database.js';
import { previewAction, refusalOf, runAction } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { startPgbouncer } from '../../helpers/pgbouncer.js';
import { testServer } from '../../helpers/server.js';
import { collect } from '../helpers.js';

async function open(url: string, options?: DatabaseOptions): Promise<Database> {
  const database = await openConsole(url, options);
  onTestFinished(() => database.close());
  return database;
}

async function fill(test: TestDatabase): Promise<void> {
  await test.query(
    `INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern)
     SELECT n::text, 'type', 'message' FROM generate_series(1, 3000) AS n;
     DELETE FROM error_patterns WHERE fingerprint::int % 3 = 0;
     SELECT pg_stat_force_next_flush()`,
  );
}

async function maintained(test: TestDatabase, column: 'last_vacuum' | 'last_analyze') {
  const { rows } = await test.query<{ relname: string }>(
    `SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' AND ${column} IS NOT NULL ORDER BY 1`,
  );
  return rows.map(({ relname }) => relname);
}

const never = new AbortController().signal;

describe('vacuum and analyze', () => {
  it('take the chosen table, with what is known of it before', async () => {
    const test = await createTestDatabase();
    await fill(test);
    const context = { database: await open(test.url), signal: never };
    const input = { tables: ['error_patterns'] };
    const { list, sql } = await previewAction('vacuum', context, input);
    expect(sql).toEqual(['VACUUM "public"."error_patterns"']);
    expect(list?.[0]).toMatch(/^error_patterns .*1,000 dead, 4,000 changed/);
    const { outcome } = await collect(runAction('vacuum', context, input));
    expect(outcome.result).toMatchObject({
      done: [{ table: 'error_patterns', deadRowsBefore: 1_000, deadRowsAfter: 0 }],
      remaining: [],
    });
    expect(await maintained(test, 'last_vacuum')).toEqual(['error_patterns']);
  });

  it('take all tables of the schema, the list of the documents among them', async () => {
    const test = await createTestDatabase();
    const { stdout, exitCode } = await runCli(['analyze', '--yes', '--json', '--url', test.url]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ remaining: [] });
    const analyzed = await maintained(test, 'last_analyze');
    expect(analyzed).toHaveLength(12);
    expect(analyzed).toEqual(
      expect.arrayContaining([
        'execution_traces',
        'agent_routing_decisions',
        'success_patterns',
        'pattern_usage_log',
      ]),
    );
    expect((await runCli(['vacuum', 'no_table', '--yes', '--url', test.url])).exitCode).toBe(1);
  });

  it('name who has the table locked, and stop when cancelled', async () => {
    const test = await createTestDatabase();
    const holder = new pg.Client({ connectionString: test.url });
    await holder.connect();
    onTestFinished(() => holder.end());
    await holder.query('BEGIN; LOCK TABLE error_patterns IN SHARE MODE');
    const cancel = new AbortController();
    const context = { database: await open(test.url), signal: cancel.signal };
    const told: string[] = [];
    const { outcome } = await collect(
      runAction('vacuum', context, { tables: ['error_patterns'] }),
      ({ blockedBy }) => {
        if (blockedBy === undefined) return;
        told.push(blockedBy);
        cancel.abort();
      },
    );
    expect(told[0]).toContain('LOCK TABLE error_patterns');
    expect(outcome).toMatchObject({
      cancelled: true,
      result: { done: [], remaining: ['error_patterns'] },
    });
  });

  it('behind a transaction pooler: ANALYZE works, VACUUM asks for the server itself', async () => {
    const test = await createTestDatabase();
    const pooler = await startPgbouncer(testServer());
    const database = await openConsole(pooler.url(test.name));
    expect(refusalOf('vacuum', database, {})).toMatchObject({ code: 'pooled_connection' });
    const { outcome } = await collect(
      runAction('analyze', { database, signal: never }, { tables: ['error_patterns'] }),
    );
    expect(outcome.result.done).toHaveLength(1);
    expect(await maintained(test, 'last_analyze')).toEqual(['error_patterns']);
    await database.close();
    await pooler.stop();
  });
});
