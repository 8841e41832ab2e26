import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { fillTraces } from '../../bench/lib/trace-data.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { schemaFiles } from '../helpers/template.js';
import { type ArchivedBatch, archiveBatch, contents } from './helpers/trace-rows.js';

/** 80,000 traces over 180 days in trees of four, filled in before the indexes are there, which is quicker. */
async function fill(db: TestDatabase): Promise<void> {
  const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
  const client = await db.pool.connect();
  try {
    await client.query(files.slice(0, 8).join('\n'));
    await fillTraces(client, { traces: 80_000, hooksPerTrace: 1, callsPerTrace: 1, days: 180 });
    await client.query(`
      SET session_replication_role = replica;
      -- A late one in a hundred trees; one that never ended in another hundred, some of them stale.
      UPDATE execution_traces SET started_at = now() - interval '1 hour'
        WHERE id IN (SELECT md5('trace' || n * 400)::uuid FROM generate_series(1, 100) AS n);
      UPDATE execution_traces SET status = 'in_progress', completed_at = NULL
        WHERE id IN (SELECT md5('trace' || n * 400 + 202)::uuid FROM generate_series(1, 100) AS n);
      RESET session_replication_role`);
    await client.query(files.slice(8).join('\n'));
    await client.query('ANALYZE');
  } finally {
    client.release();
  }
}

/** Archives until done, with connections that may be killed at any moment; returns the batches that came back. */
async function archiveStubbornly(db: TestDatabase, asOf: string): Promise<ArchivedBatch[]> {
  const batches: ArchivedBatch[] = [];
  let cursor: ArchivedBatch | undefined;
  while (cursor?.done !== true) {
    const client = new pg.Client({ connectionString: db.url, application_name: 'archiver' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      for (;;) {
        cursor = await archiveBatch(
          client,
          `'90 days', 1600, as_of => '${asOf}', stale_after => '120 days'`,
          cursor,
        );
        batches.push(cursor);
        if (cursor.done) break;
      }
    } catch (error) {
      // 55006: the other one is at work. 57P01 or none: killed.
      if ((error as { code?: string }).code === '55006') await sleep(20);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return batches;
}

test('two archivers at once, killed ten times, leave every row in exactly one place, unchanged', async () => {
  const db = await createTestDatabase({ schema: false });
  await fill(db);
  const before = await contents(db);
  expect(before.execution_traces).toMatch(/^80000 rows, 80000 ids/);
  const asOf = (await db.query<{ now: string }>('SELECT now()::text AS now')).rows[0]?.now ?? '';

  let killed = 0;
  const finished = new AbortController();
  const killer = (async () => {
    while (!finished.signal.aborted && killed < 10) {
      await sleep(50 + Math.random() * 500);
      const { rowCount } = await db.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'archiver' AND datname = current_database() AND state = 'active' LIMIT 1`,
      );
      killed += rowCount ?? 0;
    }
  })();
  await Promise.all([archiveStubbornly(db, asOf), archiveStubbornly(db, asOf)]);
  finished.abort();
  await killer;
  expect(killed).toBeGreaterThan(0);
  // A killed batch may have been rolled back after its cursor: a last run takes what they left.
  await archiveStubbornly(db, asOf);

  expect(await contents(db)).toEqual(before);
  const { rows } = await db.query(
    `WITH tree AS (
       SELECT root_id, bool_or(archived) AS archived, bool_and(archived) AS whole,
              bool_and(started_at < $1::timestamptz - interval '90 days'
                       AND (status <> 'in_progress' OR started_at < $1::timestamptz - interval '120 days')) AS due
       FROM (SELECT root_id, started_at, status, false AS archived FROM execution_traces
             UNION ALL SELECT root_id, started_at, status, true FROM execution_traces_archive) AS trace
       GROUP BY root_id)
     SELECT count(*) FILTER (WHERE archived <> whole)::int AS torn,
            count(*) FILTER (WHERE archived AND NOT due)::int AS too_early,
            count(*) FILTER (WHERE due AND NOT archived)::int AS left_behind,
            count(*) FILTER (WHERE archived)::int > 9600 AS half_moved
     FROM tree`,
    [asOf],
  );
  expect(rows).toEqual([{ torn: 0, too_early: 0, left_behind: 0, half_moved: true }]);
  const { rows: strays } = await db.query(
    ['agent_routing_decisions', 'hook_executions', 'endpoint_calls']
      .map(
        (table) =>
          `SELECT id FROM ${table}_archive c WHERE NOT EXISTS (SELECT FROM execution_traces_archive t WHERE t.id = c.trace_id)`,
      )
      .join(' UNION ALL '),
  );
  expect(strays).toEqual([]);
}, 300_000);
