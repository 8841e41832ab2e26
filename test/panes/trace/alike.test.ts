import { expect, test } from 'vitest';
import {
  probesComparing,
  probesForNear,
  recommendedLists,
} from '../../../src/core/vector-lists.js';
import { likenessOf } from '../../../src/panes/trace/prompts-listed.js';
import { createTestDatabase } from '../../helpers/database.js';
import { detailAccess, openDatabase } from '../open.js';

test('so many lists are searched that 2,000 embeddings are compared, all of them of a young table', () => {
  expect(probesComparing(100, 300)).toBe(100);
  expect(probesComparing(100, 0)).toBe(100);
  expect(probesComparing(100, -1)).toBe(100);
  expect(probesComparing(100, 10_000)).toBe(20);
  expect(probesComparing(recommendedLists(100_000), 100_000)).toBe(26);
  expect(probesComparing(1, 1_000)).toBe(1);
  // For a prompt half as many do where the index fits its rows.
  expect(probesForNear(recommendedLists(100_000), 100_000)).toBe(13);
  expect(probesForNear(recommendedLists(20_000), 20_000)).toBe(10);
  expect(probesForNear(100, 100_000)).toBe(probesComparing(100, 100_000));
});

/** Prompts of groups that are hardly alike, each with as many neighbours; the index is built on none of them, or on all. */
async function recall(rows: number, lists: number | undefined): Promise<number> {
  const database = await createTestDatabase();
  await database.query(
    `WITH made AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, started_at)
       SELECT id, id, id, 'user_prompt', 'prompt ' || n, now() - n * interval '1 s'
       FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1) AS n) AS numbered RETURNING id, prompt_text)
     INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, query_embedding)
     SELECT id, 'a', 0.9, 'explicit',
       (SELECT array_agg(abs(hashint4(k * 31 + (substring(prompt_text FROM '\\d+')::int % 20) * 7919) % 1000) / 1000.0
          + abs(hashint4(k * 17 + substring(prompt_text FROM '\\d+')::int * 104729) % 1000) / 700.0 ORDER BY k)
        FROM generate_series(1, 1536) AS k)::vector
     FROM made`,
    [rows],
  );
  if (lists !== undefined) {
    await database.query(
      `DROP INDEX idx_routing_embedding; SET maintenance_work_mem = '256MB';
       CREATE INDEX idx_routing_embedding ON agent_routing_decisions
         USING ivfflat (query_embedding vector_cosine_ops) WITH (lists = ${lists});
       ANALYZE agent_routing_decisions`,
    );
  }
  const { rows: asked } = await database.query<{ id: string; embedding: string }>(
    `SELECT trace_id AS id, query_embedding::text AS embedding FROM agent_routing_decisions ORDER BY id LIMIT 5`,
  );
  const access = await detailAccess(await openDatabase(database.url));
  let found = 0;
  for (const { id, embedding } of asked) {
    const exact = await database.query<{ id: string }>(
      `WITH all_of_them AS MATERIALIZED (SELECT trace_id, query_embedding FROM agent_routing_decisions)
       SELECT trace_id AS id FROM all_of_them WHERE trace_id <> $1 ORDER BY query_embedding <=> $2::vector LIMIT 50`,
      [id, embedding],
    );
    const alike = await likenessOf(access, id);
    if (alike.by !== 'nearest') throw new Error('not by embedding');
    const ids = new Set(alike.ids.slice(0, 50));
    found += exact.rows.filter((row) => ids.has(row.id)).length / 50;
  }
  return found / asked.length;
}

test.each([
  ['of a young table, whose index was built empty', 300, undefined],
  ['of an index of few lists', 3_000, 10],
  ['of an index of many lists', 3_000, 400],
])('traces like one are those that are nearest: %s', async (_, rows, lists) => {
  expect(await recall(rows, lists)).toBeGreaterThanOrEqual(0.98);
});
