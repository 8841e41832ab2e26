import type { Queryable } from '../../db/queryable.js';
import { vectorText } from '../embedding/embedder.js';
import { isStopWord, requestText, wordsOf } from '../text/prompt-text.js';
import { wilson } from '../../core/share.js';
import { mostFrequent, ranked, type Counter } from './chain-state.js';
import { uuidOf, durationQuantile, type PatternState } from './pattern-state.js';
import { vectorOf } from './store.js';

/** Rows that learning wrote carry it. */
export const learnedTag = 'learned';

/** A pattern's state with what its group knows; the embedding only where there is no row yet. */
export type PatternItem = {
  key: string;
  state: PatternState;
  model: string | null;
  embedding: Buffer | null;
  exists: boolean;
};

export async function readPatterns(
  tx: Queryable,
  schema: string,
  keys: readonly string[],
): Promise<PatternItem[]> {
  const { rows } = await tx.query<PatternItem>(
    `SELECT i.key, i.state, c.model, p.id IS NOT NULL AS exists,
       CASE WHEN p.id IS NULL THEN c.embedding END AS embedding
     FROM trace_console.learned_items AS i
     LEFT JOIN trace_console.prompt_clusters AS c
       ON c.target_schema = i.target_schema AND c.cluster = i.state->>'cluster'
     LEFT JOIN success_patterns AS p ON p.pattern_hash = i.key
     WHERE i.target_schema = $1 AND i.kind = 'pattern' AND i.key = ANY ($2) ORDER BY i.key`,
    [schema, keys],
  );
  return rows;
}

/**
 * Writes the rows of patterns that have turns enough. A row that exists gets the difference to what was published
 * before; one that is new, or was pruned and is seen again, begins with all.
 */
export async function publishPatterns(
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

function patternRow({ key, state, model, embedding }: PatternItem) {
  const { good, bad } = counted(state);
  const { duration, cost } = state;
  const keywords = keywordsOf(state);
  return {
    id: uuidOf(key),
    key,
    prompt: state.prompt,
    embedding: embedding === null ? null : vectorText(vectorOf(embedding)),
    model,
    intent: intentOf(state, keywords),
    keywords,
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
        first_at: new Date(state.firstAt).toISOString(),
        cluster: state.cluster,
      },
    },
  };
}

/** Words of at least a third of the turns, the most frequent first. */
function keywordsOf({ words, turns, prompt }: PatternState): string[] {
  const frequent = ranked(words).filter(([, count]) => count * 3 >= turns);
  // Of words that are equally frequent those that stand in the request first say more.
  const order = wordsOf(requestText(prompt));
  const place = (word: string) => (order.includes(word) ? order.indexOf(word) : order.length);
  return frequent
    .toSorted(
      ([one, often], [other, otherOften]) => otherOften - often || place(one) - place(other),
    )
    .slice(0, mostKeywords)
    .map(([word]) => word);
}

/** What the writers call it, if most say so; else the first words of the request. */
function intentOf({ intents, turns, prompt }: PatternState, keywords: readonly string[]): string {
  const [most] = ranked(intents);
  if (most && most[1] * 2 >= turns) return most[0].slice(0, 512);
  const inOrder = wordsOf(requestText(prompt)).filter((word) => keywords.includes(word));
  const words = [...new Set(inOrder)].filter((word) => !isStopWord(word)).slice(0, 3);
  return words.length === 0 ? 'unnamed' : words.join('_').slice(0, 512);
}

/** The most frequent sequence of a counter of JSON arrays. */
function sequenceOf(counter: Counter): string[] | undefined {
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
