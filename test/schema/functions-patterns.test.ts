import { beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { addTrace } from './helpers/trace-rows.js';

let db: TestDatabase;
let pattern: string;

beforeEach(async () => {
  db = await createTestDatabase();
  pattern = await addPattern('p');
});

/** `columns` and `values` are SQL. */
async function addPattern(hash: string, columns = '', values = ''): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `INSERT INTO success_patterns (pattern_hash, intent_classification${columns && `, ${columns}`})
     VALUES ('${hash}', 'test'${values && `, ${values}`}) RETURNING id`,
  );
  return rows[0]?.id ?? '';
}

async function record(args: string): Promise<void> {
  await db.query(`SELECT record_pattern_usage($1, ${args})`, [pattern]);
}

async function counters(): Promise<unknown> {
  const { rows } = await db.query(
    `SELECT success_count, failure_count, total_usage_count, success_rate::float, avg_duration_ms::int,
            min_duration_ms::int, max_duration_ms::int, last_used_at = now() AS just_used
     FROM success_patterns WHERE id = $1`,
    [pattern],
  );
  return rows[0];
}

describe('recording a use', () => {
  test('success and failure move their counters, partial and skipped only the total', async () => {
    for (const outcome of ['success', 'success', 'failure', 'partial', 'skipped']) {
      await record(`'${outcome}'`);
    }
    expect(await counters()).toMatchObject({
      ...{ success_count: 2, failure_count: 1, total_usage_count: 5, success_rate: 0.6667 },
      ...{ avg_duration_ms: null, min_duration_ms: null },
    });
    const { rows } = await db.query(
      'SELECT outcome, was_used FROM pattern_usage_log ORDER BY created_at',
    );
    expect(rows).toMatchObject([
      { outcome: 'success', was_used: true },
      { outcome: 'success', was_used: true },
      { outcome: 'failure', was_used: true },
      { outcome: 'partial', was_used: true },
      { outcome: 'skipped', was_used: false },
    ]);
  });

  test('durations give average, least and most; those of skipped uses do not count', async () => {
    for (const ms of [100, 250, 400]) await record(`'success', actual_duration_ms => ${ms}`);
    await record(`'skipped', actual_duration_ms => 90000`);
    await record(`'success'`);
    expect(await counters()).toMatchObject({
      ...{ avg_duration_ms: 250, min_duration_ms: 100, max_duration_ms: 400 },
    });
  });

  test('the average follows when a pattern that was used often becomes slower', async () => {
    for (let n = 0; n < 150; n += 1) await record(`'success', actual_duration_ms => 100`);
    for (let n = 0; n < 50; n += 1) await record(`'success', actual_duration_ms => 140`);
    expect(await counters()).toMatchObject({ avg_duration_ms: 120 });
  });

  test('the log entry has all that was given, and the expected duration of the pattern', async () => {
    await addTrace(db, { tree: 'one' });
    await record(`'success', actual_duration_ms => 1000`);
    const { rows } = await db.query<{ id: string; found: boolean }>(
      `WITH made AS (
         SELECT record_pattern_usage($1, 'partial', md5('one/root')::uuid, 0.91, actual_duration_ms => 1500,
                                     deviations => '["skipped lint"]', user_feedback => 'fine') AS id)
       SELECT id FROM made`,
      [pattern],
    );
    const { rows: entry } = await db.query(
      `SELECT t.correlation_id = l.correlation_id AS linked, match_score::float, expected_duration_ms::int,
              performance_variance, deviations, user_feedback
       FROM pattern_usage_log l JOIN execution_traces t ON t.id = l.trace_id WHERE l.id = $1`,
      [rows[0]?.id],
    );
    expect(entry).toEqual([
      {
        ...{ linked: true, match_score: 0.91, expected_duration_ms: 1000 },
        ...{ performance_variance: 0.5, deviations: ['skipped lint'], user_feedback: 'fine' },
      },
    ]);
  });

  test('a trace that is not written yet is kept by its correlation_id', async () => {
    await record(`'success', 'b7a1c4e2-0000-4000-8000-000000000001'`);
    const { rows } = await db.query('SELECT trace_id, correlation_id FROM pattern_usage_log');
    expect(rows).toEqual([
      { trace_id: null, correlation_id: 'b7a1c4e2-0000-4000-8000-000000000001' },
    ]);
  });

  test('a trace that goes to the archive at this moment is kept by its correlation_id', async () => {
    await addTrace(db, { tree: 'one' });
    const archiver = await db.pool.connect();
    let recorded: Promise<void>;
    try {
      await archiver.query(`BEGIN; SELECT archive_traces('90 days')`);
      recorded = record(`'success', md5('one/root')::uuid`);
      await expect
        .poll(
          async () =>
            (
              await db.query(
                `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
              )
            ).rowCount,
        )
        .toBe(1);
      await archiver.query('COMMIT');
    } finally {
      archiver.release();
    }
    await recorded;
    const { rows } = await db.query(
      `SELECT l.trace_id, l.correlation_id = a.correlation_id AS linked FROM pattern_usage_log l, execution_traces_archive a`,
    );
    expect(rows).toEqual([{ trace_id: null, linked: true }]);
    expect(await counters()).toMatchObject({ total_usage_count: 1 });
  });

  test('an older use does not set last_used_at back', async () => {
    await record(`'success'`);
    await record(`'success', used_at => now() - interval '1 year'`);
    const { rows } = await db.query(
      `SELECT last_used_at > now() - interval '1 minute' AS recent FROM success_patterns`,
    );
    expect(rows).toEqual([{ recent: true }]);
  });

  test('uses at the same time are all counted, and the average is that of all', async () => {
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        record(`'${n % 3 === 0 ? 'failure' : 'success'}', actual_duration_ms => ${n + 1}`),
      ),
    );
    expect(await counters()).toMatchObject({
      ...{ success_count: 40, failure_count: 20, total_usage_count: 60 },
      ...{ avg_duration_ms: 31, min_duration_ms: 1, max_duration_ms: 60 },
    });
  });

  test('an unknown pattern and an unknown outcome are refused, and nothing is logged', async () => {
    await expect(
      db.query(`SELECT record_pattern_usage('b7a1c4e2-0000-4000-8000-000000000001', 'success')`),
    ).rejects.toThrow('there is no pattern with the id b7a1c4e2-0000-4000-8000-000000000001');
    await expect(record(`'great'`)).rejects.toMatchObject({
      message: `outcome is 'great'`,
      hint: 'give success, failure, partial or skipped',
    });
    await expect(record('NULL')).rejects.toThrow('outcome is NULL');
    expect((await db.query('SELECT 1 FROM pattern_usage_log')).rowCount).toBe(0);
    expect(await counters()).toMatchObject({ total_usage_count: 0 });
  });
});

describe('pruning', () => {
  const proven = 'success_count, failure_count, total_usage_count, last_used_at';

  beforeEach(async () => {
    await addPattern('poor and old', proven, `1, 3, 4, now() - interval '31 days'`);
    await addPattern('poor but used lately', proven, `1, 3, 4, now() - interval '29 days'`);
    await addPattern('poor but used often', proven, `1, 4, 5, now() - interval '31 days'`);
    await addPattern('good enough', proven, `2, 2, 4, now() - interval '31 days'`);
    await addPattern('never used', 'created_at', `now() - interval '1 year'`);
    await db.query(`
      INSERT INTO pattern_usage_log (pattern_id, used_at)
      SELECT p.id, now() - make_interval(days => age) FROM success_patterns p, unnest(ARRAY[179, 181]) AS age
      WHERE pattern_hash IN ('poor and old', 'good enough')`);
  });

  async function left(): Promise<unknown> {
    const { rows } = await db.query<{ hash: string; logs: number }>(
      `SELECT p.pattern_hash AS hash, count(l.id)::int AS logs FROM success_patterns p
       LEFT JOIN pattern_usage_log l ON l.pattern_id = p.id GROUP BY p.pattern_hash ORDER BY 1`,
    );
    return rows.map(({ hash, logs }) => `${hash}: ${logs}`);
  }

  const untouched = [
    'good enough: 2',
    'never used: 0',
    'p: 0',
    'poor and old: 2',
    'poor but used lately: 0',
    'poor but used often: 0',
  ];

  test('deletes old logs and patterns that were used little, poorly and not lately', async () => {
    const { rows } = await db.query(
      'SELECT usage_logs::int, patterns::int, usage_logs_of_patterns::int FROM prune_patterns()',
    );
    expect(rows).toEqual([{ usage_logs: 2, patterns: 1, usage_logs_of_patterns: 1 }]);
    expect(await left()).toEqual([
      'good enough: 1',
      'never used: 0',
      'p: 0',
      'poor but used lately: 0',
      'poor but used often: 0',
    ]);
  });

  test('a dry run gives the same counts, names the patterns, and deletes nothing', async () => {
    const { rows } = await db.query(
      `SELECT usage_logs::int, patterns::int, usage_logs_of_patterns::int,
              ARRAY(SELECT pattern_hash FROM success_patterns WHERE id = ANY (pattern_ids)) AS names
       FROM prune_patterns(dry_run => true)`,
    );
    expect(rows).toEqual([
      { usage_logs: 2, patterns: 1, usage_logs_of_patterns: 1, names: ['poor and old'] },
    ]);
    expect(await left()).toEqual(untouched);
  });

  test('the figures are parameters', async () => {
    const { rows } = await db.query(
      `SELECT usage_logs::int, patterns::int FROM prune_patterns('1 year', 6, 0.6, '1 day')`,
    );
    expect(rows).toEqual([{ usage_logs: 0, patterns: 4 }]);
  });

  test('batch_size bounds each call', async () => {
    const moved: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const { rows } = await db.query<{ sum: number }>(
        `SELECT (usage_logs + patterns)::int AS sum FROM prune_patterns(batch_size => 1)`,
      );
      moved.push(rows[0]?.sum ?? -1);
    }
    expect(moved).toEqual([2, 1, 0]);
  });

  test('a pattern that is being used at the moment stays', async () => {
    const user = await db.pool.connect();
    try {
      await user.query(
        `BEGIN; SELECT record_pattern_usage(id, 'success') FROM success_patterns WHERE pattern_hash = 'poor and old'`,
      );
      const { rows } = await db.query('SELECT patterns::int FROM prune_patterns()');
      expect(rows).toEqual([{ patterns: 0 }]);
      await user.query('COMMIT');
    } finally {
      user.release();
    }
    const { rows } = await db.query('SELECT patterns::int FROM prune_patterns()');
    expect(rows).toEqual([{ patterns: 0 }]);
  });
});
