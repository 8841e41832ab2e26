import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { categoryOf, severityOf, type ErrorState } from './error-book.js';
import { type ChainState, mostFrequent, ranked } from './chain-state.js';
import type { LearnerLease } from './lease.js';
import { uuidOf } from './pattern-state.js';
import { learnedTag, publishPatterns, readPatterns } from './pattern-rows.js';
import type { ItemKind } from './store.js';

const limits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 };
const itemsAtOnce = 200;

export type Published = { patterns: number; chains: number; errors: number };

type Item<State> = { key: string; state: State };

/**
 * Brings the rows of success_patterns, agent_chaining_patterns and error_patterns up to what was learned. The
 * columns that people or routers change stay theirs: is_active, resolved_at, logged uses.
 *
 * @param leastTurns a pattern gets a row from so many turns on
 */
export async function publish(
  database: Database,
  lease: LearnerLease,
  leastTurns: number,
  published: Published = { patterns: 0, chains: 0, errors: 0 },
): Promise<Published> {
  const { schema } = database.capabilities;
  const publishAll = (kind: ItemKind, take: (tx: Queryable, keys: string[]) => Promise<number>) =>
    publishKind(database, lease, kind, take);
  published.patterns += await publishAll('pattern', async (tx, keys) =>
    publishPatterns(tx, schema, await readPatterns(tx, schema, keys), leastTurns),
  );
  published.chains += await publishAll('chain', async (tx, keys) =>
    publishChains(tx, await readItems<ChainState>(tx, schema, 'chain', keys)),
  );
  published.errors += await publishAll('error', async (tx, keys) =>
    publishErrors(tx, await readItems<ErrorState>(tx, schema, 'error', keys)),
  );
  return published;
}

/** In batches of their own, in the order of their keys: two publishers would not wait for each other in a circle. */
async function publishKind(
  database: Database,
  lease: LearnerLease,
  kind: ItemKind,
  take: (tx: Queryable, keys: string[]) => Promise<number>,
): Promise<number> {
  const { schema } = database.capabilities;
  for (let rows = 0; ;) {
    const keys = await database.transaction(limits, async (tx) => {
      await lease.hold(tx);
      const { rows: found } = await tx.query<{ key: string }>(
        `SELECT key FROM trace_console.learned_items
         WHERE target_schema = $1 AND kind = $2 AND NOT is_published ORDER BY key LIMIT $3`,
        [schema, kind, itemsAtOnce],
      );
      const batch = found.map(({ key }) => key);
      if (batch.length === 0) return batch;
      rows += await take(tx, batch);
      await tx.query(
        `UPDATE trace_console.learned_items SET is_published = true
         WHERE target_schema = $1 AND kind = $2 AND key = ANY ($3)`,
        [schema, kind, batch],
      );
      return batch;
    });
    if (keys.length < itemsAtOnce) return rows;
  }
}

async function readItems<State>(
  tx: Queryable,
  schema: string,
  kind: ItemKind,
  keys: readonly string[],
): Promise<Item<State>[]> {
  const { rows } = await tx.query<Item<State>>(
    `SELECT key, state FROM trace_console.learned_items
     WHERE target_schema = $1 AND kind = $2 AND key = ANY ($3) ORDER BY key`,
    [schema, kind, keys],
  );
  return rows;
}

async function publishChains(tx: Queryable, items: readonly Item<ChainState>[]): Promise<number> {
  const rows = items.map(({ key, state }) => ({
    id: uuidOf(`chain ${key}`),
    key: `${learnedTag}:${key}`,
    agents: state.agents,
    primary: state.agents[0] ?? 'unknown',
    depth: state.depth,
    trigger: mostFrequent(state.intents) ?? null,
    occurrences: state.occurrences,
    good: state.good,
    total_ms: state.timed === 0 ? null : Math.round(state.totalMs / state.timed),
    overhead_ms: state.timed === 0 ? null : Math.round(state.overheadMs / state.timed),
    examples: state.examples,
    first_at: state.firstAt,
    last_at: state.lastAt,
  }));
  await tx.query(
    `INSERT INTO agent_chaining_patterns (id, chain_hash, primary_agent, agent_sequence, delegation_depth,
       trigger_context, occurrence_count, success_count, avg_total_duration_ms, avg_coordination_overhead_ms,
       example_trace_ids, tags, first_seen_at, last_used_at)
     SELECT r.id, r.key, r.primary, r.agents, r.depth, r.trigger, r.occurrences, r.good, r.total_ms, r.overhead_ms,
       r.examples, ARRAY['${learnedTag}'], to_timestamp(r.first_at / 1000), to_timestamp(r.last_at / 1000)
     FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, key text, "primary" text, agents text[], depth integer,
       trigger text, occurrences integer, good integer, total_ms bigint, overhead_ms bigint, examples uuid[],
       first_at float8, last_at float8)
     ON CONFLICT (chain_hash) DO UPDATE SET
       delegation_depth = excluded.delegation_depth, trigger_context = excluded.trigger_context,
       occurrence_count = excluded.occurrence_count, success_count = excluded.success_count,
       avg_total_duration_ms = excluded.avg_total_duration_ms,
       avg_coordination_overhead_ms = excluded.avg_coordination_overhead_ms,
       example_trace_ids = excluded.example_trace_ids, first_seen_at = excluded.first_seen_at,
       last_used_at = excluded.last_used_at`,
    [JSON.stringify(rows)],
  );
  return rows.length;
}

/** So many agents stand in the tags of an error. */
const mostTagged = 8;

/** An error that occurs again after it was resolved is open again. */
async function publishErrors(tx: Queryable, items: readonly Item<ErrorState>[]): Promise<number> {
  const rows = items.map(({ key, state }) => {
    const pattern = state.template.join(' ');
    const [way] = ranked(state.resolutions);
    return {
      id: uuidOf(`error ${key}`),
      key: `${learnedTag}:${key}`,
      type: state.errorType,
      category: categoryOf(state.errorType, pattern),
      pattern: pattern === '' ? state.errorType : pattern,
      severity: severityOf(state),
      agent: mostFrequent(state.agents) ?? null,
      hook: mostFrequent(state.hookTypes) ?? null,
      endpoint: mostFrequent(state.endpoints) ?? null,
      occurrences: state.occurrences,
      first_at: state.firstAt,
      last_at: state.lastAt,
      examples: state.examples,
      resolution: way ? `${way[0]} (${way[1]} of ${state.resolved})` : null,
      rate: Math.min(1, state.resolved / state.occurrences),
      tags: [
        learnedTag,
        ...ranked(state.agents)
          .slice(0, mostTagged)
          .map(([agent]) => agent.slice(0, 512)),
      ],
    };
  });
  await tx.query(
    `INSERT INTO error_patterns AS e (id, fingerprint, error_type, error_category, error_message_pattern, severity,
       agent_name, hook_type, endpoint_url, occurrence_count, first_occurrence_at, last_occurrence_at,
       example_trace_ids, resolution_pattern, resolution_success_rate, tags)
     SELECT r.id, r.key, r.type, r.category, r.pattern, r.severity, r.agent, r.hook, r.endpoint, r.occurrences,
       to_timestamp(r.first_at / 1000), to_timestamp(r.last_at / 1000), r.examples, r.resolution, r.rate, r.tags
     FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, key text, type text, category text, pattern text, severity text,
       agent text, hook text, endpoint text, occurrences integer, first_at float8, last_at float8, examples uuid[],
       resolution text, rate numeric, tags text[])
     ON CONFLICT (fingerprint) DO UPDATE SET
       error_category = excluded.error_category, error_message_pattern = excluded.error_message_pattern,
       severity = excluded.severity, agent_name = excluded.agent_name, hook_type = excluded.hook_type,
       endpoint_url = excluded.endpoint_url, occurrence_count = excluded.occurrence_count,
       first_occurrence_at = excluded.first_occurrence_at, last_occurrence_at = excluded.last_occurrence_at,
       example_trace_ids = excluded.example_trace_ids, resolution_pattern = excluded.resolution_pattern,
       resolution_success_rate = excluded.resolution_success_rate, tags = excluded.tags,
       resolved_at = CASE WHEN excluded.last_occurrence_at > e.resolved_at THEN NULL ELSE e.resolved_at END`,
    [JSON.stringify(rows)],
  );
  return rows.length;
}
