import { firstOf } from '../../core/values.js';
import { wilson } from '../../core/share.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import { vectorText } from '../embedding/embedder.js';
import { nameOf, requestText, wordsOf } from '../text/prompt-text.js';
import {
  type ChainState,
  type Counter,
  durationQuantile,
  mostFrequent,
  type PatternState,
  ranked,
  uuidOf,
} from './pattern-state.js';
import { categoryOf, type ErrorState, severityOf } from './error-book.js';
import { limits, type LearnerLease, type Rest } from './lease.js';
import { type ItemKind, vectorOf } from './store.js';

/** Rows that learning wrote carry it. */
const learnedTag = 'learned';

/** A pattern's state with what its group knows; the embedding only where there is no row yet. */
type PatternItem = {
  key: string;
  state: PatternState;
  model: string | null;
  embedding: Buffer | null;
  exists: boolean;
};

async function readPatterns(
  tx: Queryable,
  schema: string,
  keys: readonly string[],
): Promise<PatternItem[]> {
  const mayBeMerged = await hasConsoleTable(tx, 'merged_patterns');
  const { rows } = await tx.query<PatternItem>(
    `SELECT i.key, i.state, c.model, p.id IS NOT NULL AS exists,
       CASE WHEN p.id IS NULL THEN c.embedding END AS embedding
     FROM trace_console.learned_items AS i
     LEFT JOIN trace_console.prompt_clusters AS c
       ON c.target_schema = i.target_schema AND c.cluster = i.state->>'cluster'
     LEFT JOIN success_patterns AS p ON p.pattern_hash = i.key
     WHERE i.target_schema = $1 AND i.kind = 'pattern' AND i.key = ANY ($2)
       ${
         // One that was merged a moment ago would come back.
         mayBeMerged
           ? `AND NOT EXISTS (SELECT FROM trace_console.merged_patterns AS m
                WHERE m.target_schema = i.target_schema AND m.pattern_key = i.key)`
           : ''
       }
     ORDER BY i.key`,
    [schema, keys],
  );
  return rows;
}

/**
 * Writes the rows of patterns that have turns enough. A row that exists gets the difference to what was published
 * before; one that is new, or was pruned and is seen again, begins with all.
 */
async function publishPatterns(
  tx: Queryable,
  schema: string,
  items: readonly PatternItem[],
  leastTurns: number,
): Promise<number> {
  const due = items.filter(({ state }) => state.turns >= leastTurns);
  const rows = due.map((item) => ({ ...patternRow(item), exists: item.exists }));
  const fresh = rows.filter(({ exists }) => !exists);
  const known = rows.filter(({ exists }) => exists);
  if (fresh.length > 0) await tx.query(insertRows, [JSON.stringify(fresh)]);
  if (known.length > 0) {
    await tx.query(updateRows, [JSON.stringify(known.map((row) => ({ ...row, embedding: null })))]);
  }
  await tx.query(
    `UPDATE trace_console.learned_items AS i SET state = jsonb_set(i.state, '{published}', n.published)
     FROM jsonb_to_recordset($2::jsonb) AS n (key text, published jsonb)
     WHERE i.target_schema = $1 AND i.kind = 'pattern' AND i.key = n.key`,
    [schema, JSON.stringify(due.map(({ key, state }) => ({ key, published: counted(state) })))],
  );
  return due.length;
}

/** Good and bad turns, less those that a router counts by logging its uses. */
function counted({ good, bad, logged }: PatternState): { good: number; bad: number } {
  return { good: good - logged.good, bad: bad - logged.bad };
}

const columns = `id uuid, key text, prompt text, embedding text, model text, intent text, keywords text[], agents text[],
  strategy text, hooks jsonb, endpoints jsonb, good integer, bad integer, more_good integer, more_bad integer,
  confidence numeric, avg_ms bigint, min_ms bigint, max_ms bigint, source uuid, context jsonb, last_at float8`;

const insertRows = `
INSERT INTO success_patterns (id, pattern_hash, prompt_text, prompt_embedding, embedding_model,
  intent_classification, keywords, agent_sequence, routing_strategy, hook_sequence, endpoint_pattern,
  success_count, failure_count, total_usage_count, confidence_score, avg_duration_ms, min_duration_ms,
  max_duration_ms, source_correlation_id, context, tags, last_used_at)
SELECT r.id, r.key, r.prompt, r.embedding::vector, r.model, r.intent, r.keywords, r.agents, r.strategy, r.hooks,
  r.endpoints, r.good, r.bad, r.good + r.bad, r.confidence, r.avg_ms, r.min_ms, r.max_ms, r.source, r.context,
  ARRAY['${learnedTag}'], to_timestamp(r.last_at / 1000)
FROM jsonb_to_recordset($1::jsonb) AS r (${columns})
ON CONFLICT (pattern_hash) DO NOTHING`;

const updateRows = `
UPDATE success_patterns AS p SET
  intent_classification = r.intent, keywords = r.keywords, agent_sequence = r.agents, routing_strategy = r.strategy,
  hook_sequence = r.hooks, endpoint_pattern = r.endpoints,
  success_count = GREATEST(0, p.success_count + r.more_good),
  failure_count = GREATEST(0, p.failure_count + r.more_bad),
  total_usage_count = GREATEST(0, p.total_usage_count + r.more_good + r.more_bad),
  confidence_score = r.confidence, avg_duration_ms = r.avg_ms, min_duration_ms = r.min_ms, max_duration_ms = r.max_ms,
  context = p.context || r.context, last_used_at = GREATEST(p.last_used_at, to_timestamp(r.last_at / 1000))
FROM jsonb_to_recordset($1::jsonb) AS r (${columns})
WHERE p.pattern_hash = r.key`;

const mostKeywords = 8;
/** PostgreSQL knows later dates than JavaScript. */
const lastDateMs = 8.64e15;

function patternRow({ key, state, model, embedding }: PatternItem) {
  const { good, bad } = counted(state);
  const { duration, cost } = state;
  return {
    id: uuidOf(key),
    key,
    prompt: state.prompt,
    embedding: embedding === null ? null : vectorText(vectorOf(embedding)),
    model,
    intent: intentOf(state),
    keywords: keywordsOf(state),
    agents: sequenceOf(state.agents) ?? [state.agent],
    strategy: mostFrequent(state.strategies) ?? null,
    hooks: [
      ...(sequenceOf(state.tools) ?? []).map((name) => ({ type: 'ToolUse', name })),
      ...usual(state.hooks, state.good).map(hookOf),
    ],
    // Calls a good turn.
    endpoints: Object.fromEntries(
      ranked(state.services).map(([service, calls]) => [
        service,
        Math.round((100 * calls) / Math.max(1, state.good)) / 100,
      ]),
    ),
    good,
    bad,
    more_good: good - state.published.good,
    more_bad: bad - state.published.bad,
    confidence: wilson(state.good, state.turns).low,
    avg_ms: duration.count === 0 ? null : Math.round(duration.sum / duration.count),
    min_ms: duration.count === 0 ? null : duration.min,
    max_ms: duration.count === 0 ? null : duration.max,
    source: state.source,
    last_at: state.lastAt,
    context: {
      learned: {
        turns: state.turns,
        good: state.good,
        recent: state.recent,
        median_ms: durationQuantile(state, 0.5),
        p90_ms: durationQuantile(state, 0.9),
        cost_usd: cost.count === 0 ? null : Math.round(cost.sum / cost.count) / 1e6,
        agents: ranked(state.agents)
          .slice(0, 3)
          .map(([agents, turns]) => ({ agents: JSON.parse(agents) as unknown, turns })),
        first_at: new Date(Math.min(state.firstAt, lastDateMs)).toISOString(),
        cluster: state.cluster,
      },
    },
  };
}

/** Words of at least a third of the turns. */
function frequentWords({ words, turns }: PatternState): Counter {
  return ranked(words).filter(([, count]) => count * 3 >= turns);
}

/** The most frequent first. */
function keywordsOf(state: PatternState): string[] {
  const frequent = frequentWords(state);
  // Of words that are equally frequent those that stand in the request first say more.
  const order = wordsOf(requestText(state.prompt));
  const place = (word: string) => (order.includes(word) ? order.indexOf(word) : order.length);
  return frequent
    .toSorted(
      ([one, often], [other, otherOften]) => otherOften - often || place(one) - place(other),
    )
    .slice(0, mostKeywords)
    .map(([word]) => word);
}

/** What the writers call it, if most say so; else by the words of its request. */
function intentOf(state: PatternState): string {
  const [most] = ranked(state.intents);
  if (most && most[1] * 2 >= state.turns) return firstOf(most[0], 512);
  const shared = new Set(frequentWords(state).map(([word]) => word));
  return nameOf(state.prompt, shared) ?? 'unnamed';
}

/** The most frequent sequence of a counter of JSON arrays. */
export function sequenceOf(counter: Counter): string[] | undefined {
  const most = mostFrequent(counter);
  return most === undefined ? undefined : (JSON.parse(most) as string[]);
}

/** Keys of at least half of the turns. */
function usual(counter: Counter, turns: number): string[] {
  return ranked(counter)
    .filter(([, count]) => count * 2 >= turns)
    .map(([key]) => key);
}

function hookOf(text: string): { type: string; name: string } {
  const space = text.indexOf(' ');
  return { type: text.slice(0, space), name: text.slice(space + 1) };
}

const itemsAtOnce = 100;

export type Published = { patterns: number; chains: number; errors: number };

type Item<State> = { key: string; state: State };

/** `leastTurns`: a pattern gets a row from so many turns on. */
export type PublishOptions = { leastTurns: number; rest: Rest };

/**
 * Brings the rows of success_patterns, agent_chaining_patterns and error_patterns up to what was learned. The
 * columns that people or routers change stay theirs: is_active, resolved_at, logged uses. Counts them in `published`.
 */
export async function publish(
  database: Database,
  lease: LearnerLease,
  { leastTurns, rest }: PublishOptions,
  published: Published,
): Promise<void> {
  const { schema } = database.capabilities;
  const publishAll = (kind: ItemKind, take: (tx: Queryable, keys: string[]) => Promise<number>) =>
    publishKind(database, { lease, kind, rest }, take);
  published.patterns += await publishAll('pattern', async (tx, keys) =>
    publishPatterns(tx, schema, await readPatterns(tx, schema, keys), leastTurns),
  );
  published.chains += await publishAll('chain', async (tx, keys) =>
    publishChains(tx, await readItems<ChainState>(tx, schema, 'chain', keys)),
  );
  published.errors += await publishAll('error', async (tx, keys) =>
    publishErrors(tx, await readItems<ErrorState>(tx, schema, 'error', keys)),
  );
}

/** Patterns that had too few turns for a row before, and have enough where fewer are asked for now, are written, too. */
export async function askForMore(database: Database, lease: LearnerLease, leastTurns: number) {
  await database.transaction(limits, async (tx) => {
    await lease.hold(tx);
    await tx.query(
      `UPDATE trace_console.learned_items AS i SET is_published = false
       WHERE i.target_schema = $1 AND i.kind = 'pattern' AND i.is_published AND (i.state->>'turns')::int8 >= $2
         AND i.state->'published' = '{"good": 0, "bad": 0}' AND NOT EXISTS (SELECT FROM success_patterns WHERE pattern_hash = i.key)`,
      [database.capabilities.schema, leastTurns],
    );
  });
}

/** In batches of their own, in the order of their keys: two publishers would not wait for each other in a circle. */
async function publishKind(
  database: Database,
  { lease, kind, rest }: { lease: LearnerLease; kind: ItemKind; rest: Rest },
  take: (tx: Queryable, keys: string[]) => Promise<number>,
): Promise<number> {
  const { schema } = database.capabilities;
  for (let rows = 0; ;) {
    const begun = performance.now();
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
    await rest(performance.now() - begun);
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
          .map(([agent]) => firstOf(agent, 512)),
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
