import { expect, test } from 'vitest';
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
});
