import { expect, test } from 'vitest';
import type { Pair } from '../../src/panes/contract/pane.js';
import { topPatterns } from '../../src/panes/top-patterns.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh } from './open.js';

test('the best active patterns in the order of the monitoring query', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, agent_sequence, success_count,
       failure_count, total_usage_count, is_active, avg_duration_ms)
     SELECT 'hash-' || i, 'intent-' || i, ARRAY['a', 'b'], i % 13, i % 5, i % 13 + i % 5, i % 10 <> 0, i
     FROM generate_series(1, 300) AS i`,
  );
  const { rows } = await readFresh(await openDatabase(database.url), topPatterns);
  const plain = await database.query<{ success_rate: string; total_usage_count: number }>(
    `SELECT success_rate, total_usage_count FROM pattern_effectiveness
     ORDER BY success_rate DESC, total_usage_count DESC LIMIT 100`,
  );
  expect(rows.map(({ successRate, uses }) => [successRate, uses])).toEqual(
    plain.rows.map((row) => [Number(row.success_rate), row.total_usage_count]),
  );
  expect(rows.every(({ hash }) => Number(hash?.slice(5)) % 10 !== 0)).toBe(true);
  expect(rows[0]).toMatchObject({ agents: ['a', 'b'] });
});

test("a view with only the seed's columns is shown, and what lacks is named", async () => {
  const database = await createTestDatabase();
  await database.query('DROP VIEW pattern_effectiveness');
  await database.query(
    `CREATE VIEW pattern_effectiveness AS
     SELECT 'h' AS pattern_hash, 0.5 AS success_rate, 7 AS total_usage_count`,
  );
  const { rows } = await readFresh(await openDatabase(database.url), topPatterns);
  expect(rows).toMatchObject([{ hash: 'h', uses: 7, successRate: 0.5, intent: null, agents: [] }]);
  // The best would stand under the title of another choice.
  const known = { rows: [], notes: [expect.stringMatching(/^not known: /)] };
  for (const variant of ['failing', 'twins', 'used']) {
    expect(
      await readFresh(await openDatabase(database.url), topPatterns, { variant }),
    ).toMatchObject(known);
  }
});

test('a filter says that only the first were looked at where there are more, and one that nothing takes shows what no filter does', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification)
     SELECT 'p' || n, 'p' || n FROM generate_series(1, 2000) AS n`,
  );
  const console_ = await openDatabase(database.url);
  const filtered = async () => readFresh(console_, topPatterns, { filter: 'intent:p7' });
  expect((await filtered()).notes).toEqual([]);
  const refused = await readFresh(console_, topPatterns, { filter: 'nocolumn>7' });
  expect(refused.rows).toHaveLength(100);
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('more', 'more')`,
  );
  expect((await filtered()).notes).toEqual(['only the first 2,000 were filtered']);
});

test('patterns that fail lately are found among the last used, by logged uses or by what was learned', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (intent_classification, pattern_hash, success_count, failure_count, total_usage_count, context, last_used_at)
     VALUES ('', 'steady', 90, 10, 100, '{"learned": {"recent": {"good": 9, "bad": 1}}}', now()),
       ('', 'learned worse', 90, 10, 100, '{"learned": {"recent": {"good": 2, "bad": 6}}}', now()),
       ('', 'used worse', 80, 20, 100, '{"learned": {"recent": {"good": 9, "bad": 1}}}', now()),
       ('', 'few', 9, 1, 10, '{"learned": {"recent": {"good": 0, "bad": 2}}}', now()),
       ('', 'odd', 9, 1, 10, '{"learned": {"recent": {"good": "x", "bad": null}}}', now());
     INSERT INTO success_patterns (intent_classification, pattern_hash) SELECT 'never used ' || n, 'never used ' || n FROM generate_series(1, 1000) AS n;
     INSERT INTO pattern_usage_log (pattern_id, outcome, used_at)
     SELECT id, CASE WHEN n <= 20 THEN 'failure' ELSE 'success' END, now() - n * interval '1 minute'
     FROM success_patterns, generate_series(1, 60) AS n WHERE pattern_hash = 'used worse'`,
  );
  const console_ = await openDatabase(database.url);
  const { rows } = await readFresh(console_, topPatterns, { variant: 'failing' });
  expect(rows.map(({ hash, lately }) => [hash, lately])).toEqual([
    ['used worse', 0],
    ['learned worse', 0.25],
  ]);
  // What is filtered is looked for beyond the rows that a screen shows.
  const named = await readFresh(console_, topPatterns, { filter: 'intent:"never used 999"' });
  expect(named.rows.map(({ hash }) => hash)).toEqual(['never used 999']);
  const all = await readFresh(console_, topPatterns);
  expect(all.rows.slice(0, 5).map(({ hash, lately }) => [hash, lately])).toEqual([
    ['steady', 0.9],
    ['learned worse', 0.25],
    ['few', null],
    ['odd', null],
    ['used worse', 0],
  ]);
});

test('patterns in use that can be merged are shown beside each other, also behind many that always worked', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (intent_classification, pattern_hash, prompt_embedding, embedding_model, success_count,
       failure_count, total_usage_count, last_used_at)
     SELECT name, name, (ARRAY[1.0, slope] || array_fill(0.0, ARRAY[1534]))::vector, model, 5, 3, 8, used_at
     FROM (VALUES ('one', 0, 'hash', now()), ('twin', 0.1, 'hash', now()), ('other model', 0, 'large', now()),
       ('learned:other origin', 0, 'hash', now()), ('far', 3, 'hash', now())) AS p (name, slope, model, used_at);
     INSERT INTO success_patterns (intent_classification, pattern_hash, prompt_embedding, embedding_model, success_count,
       total_usage_count, last_used_at)
     SELECT 'once', 'once ' || n, (array_fill(0.0, ARRAY[n + 1]) || ARRAY[1.0] || array_fill(0.0, ARRAY[1534 - n]))::vector,
       'hash', 1, 1, now() - interval '40 days' FROM generate_series(1, 146) AS n;
     INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('none', '')`,
  );
  const console_ = await openDatabase(database.url);
  const expectTwins = async () => {
    const { rows } = await readFresh(console_, topPatterns, { variant: 'twins' });
    expect(new Map(rows.map(({ hash, twin }) => [hash, twin]))).toEqual(
      new Map([
        ['one', 'twin 1.00'],
        ['twin', 'one 1.00'],
      ]),
    );
  };
  await expectTwins();
  await database.query(
    `DELETE FROM success_patterns WHERE intent_classification = 'once';
     UPDATE success_patterns SET last_used_at = NULL WHERE pattern_hash = 'twin'`,
  );
  await expectTwins();
});

test('logged uses of the window stand beside those of the window before', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, total_usage_count)
     VALUES ('used', 'used', 5, 5), ('unused', 'unused', 9, 9);
     INSERT INTO pattern_usage_log (pattern_id, outcome, used_at, actual_duration_ms)
     SELECT id, CASE WHEN n <= failed THEN 'failure' ELSE 'success' END, now() - minutes * interval '1 minute', ms
     FROM success_patterns, (VALUES (30, 10, 6, 200), (90, 4, 1, 100)) AS at (minutes, uses, failed, ms),
       LATERAL generate_series(1, uses) AS n
     WHERE pattern_hash = 'used'`,
  );
  const console_ = await openDatabase(database.url);
  const { rows } = await readFresh(console_, topPatterns, { exact: true });
  expect(new Map(rows.map(({ hash, window }) => [hash, window]))).toEqual(
    new Map([
      ['used', figures({ now: 10, before: 4 }, { now: 6, before: 1 }, { now: 200, before: 100 })],
      [
        'unused',
        figures({ now: 0, before: 0 }, { now: 0, before: 0 }, { now: null, before: null }),
      ],
    ]),
  );
  const used = await readFresh(console_, topPatterns, { exact: true, variant: 'used' });
  expect(used.rows.map(({ hash }) => hash)).toEqual(['used']);
  const long = await readFresh(console_, topPatterns, { windowMs: 7 * 86_400_000 });
  expect(long.rows.map(({ window }) => window)).toEqual([null, null]);
  const uncounted = { windowMs: 7 * 86_400_000, variant: 'used' };
  expect(await readFresh(console_, topPatterns, uncounted)).toMatchObject({
    rows: [],
    notes: ['not counted beyond a day'],
  });
});

function figures(calls: Pair, failures: Pair, p95Ms: Pair) {
  return { calls, failures, p95Ms };
}
