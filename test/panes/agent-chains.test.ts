import { expect, test } from 'vitest';
import { agentChains } from '../../src/panes/agent-chains.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh } from './open.js';

test('the chains used last, the most frequent first, with the figures of the table', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, agent_sequence, delegation_depth,
       occurrence_count, success_count, avg_total_duration_ms, avg_coordination_overhead_ms, last_used_at)
     SELECT 'hash-' || i, 'agent-' || i % 7, ARRAY['agent-' || i % 7, 'helper'], 1 + i % 3, 1000 - i, (1000 - i) / 2,
       i * 10, i, now() - i * interval '1 minute'
     FROM generate_series(1, 600) AS i;
     INSERT INTO agent_chaining_patterns (chain_hash, primary_agent)
     SELECT 'never used ' || i, 'agent' FROM generate_series(1, 500) AS i`,
  );
  const { rows, notes } = await readFresh(await openDatabase(database.url), agentChains);
  const plain = await database.query<{ agents: string[]; times: number; rate: string }>(
    `SELECT agent_sequence AS agents, occurrence_count AS times, success_rate AS rate
     FROM agent_chaining_patterns ORDER BY last_used_at DESC NULLS LAST LIMIT 500`,
  );
  expect(
    rows.map(({ agents, occurrences, successRate }) => [agents, occurrences, successRate]),
  ).toEqual(plain.rows.map(({ agents, times, rate }) => [agents, times, Number(rate)]));
  expect(notes).toEqual(['only the 500 used last']);
});
