import { afterAll, expect, test } from 'vitest';
import { runDemo } from '../../../src/demo/run.js';
import { giveFeedback } from '../../../src/learning/calibrate.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { topPatterns } from '../../../src/panes/top-patterns.js';
import { closeDatabases, day, noon, openDatabase } from '../../demo/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { learnAll } from '../../learning/helpers.js';
import { readFresh } from '../../panes/open.js';
import { collect } from '../helpers.js';

afterAll(closeDatabases);

const signal = new AbortController().signal;

/** Patterns in the directions of two dimensions; each with uses, all good, and as many logged. */
async function patterns(
  rows: readonly [name: string, slope: number, agent: string, uses: number][],
) {
  const test = await createTestDatabase();
  for (const [name, slope, agent, uses] of rows) {
    await test.query(
      `WITH p AS (
         INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, embedding_model, agent_sequence,
           success_count, total_usage_count, avg_duration_ms, min_duration_ms, max_duration_ms)
         VALUES ($1, $1, (ARRAY[1.0, $2::float8] || array_fill(0.0, ARRAY[1534]))::vector, 'm', ARRAY[$3], $4, $4,
           100 * $4, 50, 1000 * $4) RETURNING id)
       INSERT INTO pattern_usage_log (pattern_id, outcome) SELECT id, 'success' FROM p, generate_series(1, $4)`,
      [name, slope, agent, uses],
    );
  }
  return test;
}

async function rowsOf(test: TestDatabase) {
  const { rows } = await test.query<{ hash: string; uses: number; logs: number }>(
    `SELECT pattern_hash AS hash, total_usage_count AS uses,
       (SELECT count(*)::int FROM pattern_usage_log AS l WHERE l.pattern_id = p.id) AS logs
     FROM success_patterns AS p ORDER BY 1`,
  );
  return rows;
}

test('duplicates go into the one that is used most; other agents and far prompts stay', async () => {
  const test = await patterns([
    ['login', 0, 'tester', 8],
    ['log in', 0.1, 'tester', 3],
    ['sign in', 0.2, 'tester', 2],
    ['login by another', 0, 'writer', 4],
    ['refund', 3, 'tester', 5],
  ]);
  const database = await openDatabase(test);
  const twins = await readFresh(database, topPatterns, { variant: 'twins' });
  expect(twins.rows.map(({ hash }) => hash).sort()).toEqual(['log in', 'login', 'sign in']);

  const preview = await previewAction('merge-patterns', { database, signal }, {});
  expect(preview.typed).toBe('merge');
  expect(preview.list).toEqual([
    'stays: 8 uses, 100 % good, the most: login login by tester',
    '  + similarity 1.00; 3 uses, 100 % good: log in log in',
    '  + similarity 0.98; 2 uses, 100 % good: sign in sign in',
  ]);
  const { outcome } = await collect(runAction('merge-patterns', { database, signal }, {}));
  expect(outcome).toMatchObject({ result: { kept: 1, merged: 2, usageLogs: 5 } });
  expect(await rowsOf(test)).toEqual([
    { hash: 'login', uses: 13, logs: 13 },
    { hash: 'login by another', uses: 4, logs: 4 },
    { hash: 'refund', uses: 5, logs: 5 },
  ]);
  const { rows } = await test.query(
    `SELECT success_count AS good, avg_duration_ms::int AS avg, min_duration_ms::int AS min, max_duration_ms::int AS max,
       jsonb_path_query_array(context, '$.merged[*].hash') AS merged
     FROM success_patterns WHERE pattern_hash = 'login'`,
  );
  expect(rows).toMatchObject([
    // (8 × 800 + 3 × 300 + 2 × 200) / 13
    {
      good: 13,
      avg: 592,
      min: 50,
      max: 8_000,
      merged: expect.arrayContaining(['log in']) as unknown,
    },
  ]);
  const again = await previewAction('merge-patterns', { database, signal }, {});
  expect(again.nothing).toMatch(/No two patterns/);
  const { rows: runs } = await test.query(
    'SELECT action, state FROM trace_console.maintenance_runs ORDER BY id',
  );
  expect(runs).toEqual([{ action: 'merge-patterns', state: 'done' }]);
});

test('chosen patterns become one however far they are; with another agent they are refused', async () => {
  const test = await patterns([
    ['login', 0, 'tester', 2],
    ['refund', 3, 'tester', 5],
    ['review', 3, 'writer', 1],
    ['deploy', 6, 'tester', 9],
  ]);
  const { rows } = await test.query<{ id: string; hash: string }>(
    'SELECT id, pattern_hash AS hash FROM success_patterns',
  );
  const idOf = (hash: string) => rows.find((row) => row.hash === hash)?.id ?? '';
  const merge = (...args: string[]) => runCli(['learn', 'merge', ...args, '--url', test.url]);
  expect(await merge('nonsense')).toMatchObject({ exitCode: 2 });
  expect(await merge(idOf('refund'), idOf('review'))).toMatchObject({ exitCode: 2 });
  const chosen = [idOf('login'), idOf('refund')];
  const dry = await merge(...chosen, '--dry-run');
  expect(dry.stdout).toContain('1 of them are not near');
  expect(await merge(...chosen)).toMatchObject({ exitCode: 4 });
  const done = await merge(...chosen, '--yes', '--json');
  expect(JSON.parse(done.stdout)).toEqual({ kept: 1, merged: 1, usageLogs: 2 });
  expect((await rowsOf(test)).map(({ hash, uses }) => [hash, uses])).toEqual([
    ['deploy', 9],
    ['refund', 7],
    ['review', 1],
  ]);
  // Merged itself, it hands on what it took in: decisions keep the pattern that they were made by.
  await merge(idOf('refund'), idOf('deploy'), '--yes');
  const { rows: merged } = await test.query(
    `SELECT jsonb_path_query_array(context, '$.merged[*].hash') AS merged FROM success_patterns WHERE pattern_hash = 'deploy'`,
  );
  expect(merged).toEqual([{ merged: ['refund', 'login'] }]);
});

test('what is learned after a merge counts for the one that stayed, and the other does not come back', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 1_000 });
  await learnAll(database, { limit: 200 });
  // The two patterns of one agent that were used most.
  const { rows: chosen } = await test.query<{ id: string; hash: string }>(
    `SELECT id, pattern_hash AS hash FROM (
       SELECT *, count(*) OVER (PARTITION BY agent_sequence[1]) AS of_agent,
         row_number() OVER (PARTITION BY agent_sequence[1] ORDER BY total_usage_count DESC, id) AS n
       FROM success_patterns WHERE pattern_hash LIKE 'learned:%') AS p
     WHERE of_agent > 1 AND n <= 2 ORDER BY of_agent DESC, agent_sequence[1], n LIMIT 2`,
  );
  const ids = chosen.map(({ id }) => id);
  await collect(runAction('merge-patterns', { database, signal }, { patterns: ids }));
  const { rows: left } = await test.query<{ hash: string }>(
    'SELECT pattern_hash AS hash FROM success_patterns WHERE id = ANY ($1)',
    [ids],
  );
  expect(left).toHaveLength(1);
  const kept = left[0]?.hash ?? '';
  const counts = async () => {
    const { rows } = await test.query<{ ledger: object; row: object; turns: number }>(
      `SELECT jsonb_build_array(count(*) FILTER (WHERE l.is_good), count(*) FILTER (WHERE NOT l.is_good)) AS ledger,
         (SELECT jsonb_build_array(success_count, failure_count) FROM success_patterns WHERE pattern_hash = $1) AS row,
         count(*)::int AS turns
       FROM trace_console.learned_traces AS l WHERE l.pattern_key = $1`,
      [kept],
    );
    return rows[0];
  };
  const before = await counts();
  expect(before?.row).toEqual(before?.ledger);

  await learnAll(database);
  const after = await counts();
  expect(after?.row).toEqual(after?.ledger);
  expect(after?.turns).toBeGreaterThan(before?.turns ?? Infinity);
  const gone = chosen.map(({ hash }) => hash).filter((hash) => hash !== kept);
  const { rows: back } = await test.query(
    `SELECT pattern_hash FROM success_patterns WHERE pattern_hash = ANY ($1)
     UNION ALL SELECT key FROM trace_console.learned_items WHERE key = ANY ($1)
     UNION ALL SELECT pattern_key FROM trace_console.learned_traces WHERE pattern_key = ANY ($1)`,
    [gone],
  );
  expect(back).toEqual([]);

  // A turn of the merged one, judged otherwise by a person.
  const { rows: turns } = await test.query<{ id: string; good: boolean }>(
    `SELECT correlation_id AS id, is_good AS good FROM trace_console.learned_traces
     WHERE pattern_key = $1 ORDER BY ended_at, correlation_id LIMIT 1`,
    [kept],
  );
  const [turn] = turns;
  if (!turn) throw new Error('no turn of the kept pattern');
  await giveFeedback(database, { correlationId: turn.id, isGood: !turn.good });
  expect(await learnAll(database)).toMatchObject({ overruled: 1 });
  const judged = await counts();
  expect(judged?.row).toEqual(judged?.ledger);
  expect(judged?.row).not.toEqual(after?.row);
});
