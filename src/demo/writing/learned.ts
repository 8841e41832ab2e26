import type { Queryable } from '../../db/database.js';
import type { UsageRow } from '../rows.js';
import type { Batch } from './batch.js';
import { recordset, runInChunks } from './recordset.js';

const usage = recordset('pattern_usage_log');
const chain = recordset('agent_chaining_patterns');
const error = recordset('error_patterns');

/**
 * The join leaves out patterns that somebody has pruned meanwhile. Ordered, so that two demos at
 * once take the patterns' locks in the same order.
 */
const recordUsage = `
SELECT record_pattern_usage(
  pattern_id => u.pattern_id, outcome => u.outcome, correlation_id => u.correlation_id,
  match_score => u.match_score, actual_duration_ms => u.actual_duration_ms,
  expected_duration_ms => u.expected_duration_ms, was_used => u.was_used,
  deviations => u.deviations, user_feedback => u.user_feedback, used_at => u.used_at)
FROM (
  SELECT p.id AS pattern_id, ${named(['outcome', 'correlation_id', 'match_score', 'actual_duration_ms', 'expected_duration_ms', 'was_used', 'deviations', 'user_feedback', 'used_at'])}
  FROM ${usage.source} JOIN success_patterns AS p ON p.id = ${usage.value('pattern_id')}
  ORDER BY p.id, ${usage.value('used_at')}
) AS u`;

const insertUsage = `
INSERT INTO pattern_usage_log (${usage.names})
SELECT ${usage.values} FROM ${usage.source}
WHERE EXISTS (SELECT FROM success_patterns AS p WHERE p.id = ${usage.value('pattern_id')})`;

/**
 * Moves the counters by the usages in $1, as record_pattern_usage would have, use by use. One update
 * a pattern instead of one a use: each writes into nine indexes, two of them GIN and one ivfflat.
 */
const moveCounters = `
UPDATE success_patterns AS p SET
  total_usage_count = p.total_usage_count + added.uses,
  success_count = p.success_count + added.successes,
  failure_count = p.failure_count + added.failures,
  min_duration_ms = LEAST(p.min_duration_ms, added.shortest),
  max_duration_ms = GREATEST(p.max_duration_ms, added.longest),
  last_used_at = GREATEST(p.last_used_at, added.latest),
  avg_duration_ms = COALESCE((
    SELECT round(avg(recent.actual_duration_ms)) FROM (
      SELECT l.actual_duration_ms, l.outcome FROM pattern_usage_log AS l
      WHERE l.pattern_id = p.id ORDER BY l.used_at DESC LIMIT 100
    ) AS recent
    WHERE recent.actual_duration_ms >= 0 AND recent.outcome <> 'skipped'
  ), p.avg_duration_ms)
FROM (
  SELECT ${usage.value('pattern_id')} AS pattern_id,
    count(*) AS uses,
    count(*) FILTER (WHERE ${usage.value('outcome')} = 'success') AS successes,
    count(*) FILTER (WHERE ${usage.value('outcome')} = 'failure') AS failures,
    min(${usage.value('actual_duration_ms')}) AS shortest,
    max(${usage.value('actual_duration_ms')}) AS longest,
    max(${usage.value('used_at')}) AS latest
  FROM ${usage.source} GROUP BY 1
) AS added
WHERE p.id = added.pattern_id`;

const latestExamples = (table: string) => {
  const all = `${table}.example_trace_ids || EXCLUDED.example_trace_ids`;
  return `(${all})[GREATEST(1, cardinality(${all}) - 4):]`;
};

const average = (column: string) => `
  round((agent_chaining_patterns.${column}::numeric * agent_chaining_patterns.occurrence_count
    + EXCLUDED.${column}::numeric * EXCLUDED.occurrence_count)
    / (agent_chaining_patterns.occurrence_count + EXCLUDED.occurrence_count))`;

const addChains = `
INSERT INTO agent_chaining_patterns (${chain.names})
SELECT ${chain.values} FROM ${chain.source} ORDER BY ${chain.value('chain_hash')}
ON CONFLICT (chain_hash) DO UPDATE SET
  delegation_depth = GREATEST(agent_chaining_patterns.delegation_depth, EXCLUDED.delegation_depth),
  occurrence_count = agent_chaining_patterns.occurrence_count + EXCLUDED.occurrence_count,
  success_count = agent_chaining_patterns.success_count + EXCLUDED.success_count,
  avg_total_duration_ms = ${average('avg_total_duration_ms')},
  avg_coordination_overhead_ms = ${average('avg_coordination_overhead_ms')},
  example_trace_ids = ${latestExamples('agent_chaining_patterns')},
  first_seen_at = LEAST(agent_chaining_patterns.first_seen_at, EXCLUDED.first_seen_at),
  last_used_at = GREATEST(agent_chaining_patterns.last_used_at, EXCLUDED.last_used_at)`;

/** An error that is seen again after it was resolved is open again. */
const addErrors = `
INSERT INTO error_patterns (${error.names})
SELECT ${error.values} FROM ${error.source} ORDER BY ${error.value('fingerprint')}
ON CONFLICT (fingerprint) DO UPDATE SET
  occurrence_count = error_patterns.occurrence_count + EXCLUDED.occurrence_count,
  first_occurrence_at = LEAST(error_patterns.first_occurrence_at, EXCLUDED.first_occurrence_at),
  last_occurrence_at = GREATEST(error_patterns.last_occurrence_at, EXCLUDED.last_occurrence_at),
  example_trace_ids = ${latestExamples('error_patterns')},
  resolved_at = CASE WHEN EXCLUDED.last_occurrence_at > error_patterns.resolved_at
                     THEN EXCLUDED.resolved_at ELSE error_patterns.resolved_at END`;

function named(names: readonly string[]): string {
  return names.map((name) => `${usage.value(name)} AS ${name}`).join(', ');
}

/** Usages one by one, as an application records them. */
export async function recordUsages(tx: Queryable, rows: readonly UsageRow[]): Promise<number> {
  return runInChunks(tx, recordUsage, 'pattern_usage_log', rows);
}

/** Many historic usages at once, with their own ids. */
export async function insertUsages(tx: Queryable, rows: readonly UsageRow[]): Promise<number> {
  const count = await runInChunks(tx, insertUsage, 'pattern_usage_log', rows);
  const byPattern = rows.toSorted((one, other) => (one.pattern_id < other.pattern_id ? -1 : 1));
  await runInChunks(tx, moveCounters, 'pattern_usage_log', byPattern);
  return count;
}

/** Chains and errors: new ones are inserted, known ones counted. */
export async function writeChainsAndErrors(tx: Queryable, batch: Batch): Promise<void> {
  await runInChunks(tx, addChains, 'agent_chaining_patterns', batch.chains.values());
  await runInChunks(tx, addErrors, 'error_patterns', batch.errors.values());
}
