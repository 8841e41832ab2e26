import { hasRowsOnWorkers } from '../../db/capabilities.js';
import type { Database } from '../../db/database.js';
import { firstOf, readNumber } from '../../core/values.js';
import { latelyRate, latelySql, wilson } from '../../core/share.js';
import { comparedAtLeast, defaultLists, probesForNear } from '../../core/vector-lists.js';
import { formatDuration } from '../../core/format/time.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import { usualThreshold, type Embedder, vectorText } from '../embedding/embedder.js';
import { requestOf, requestText } from '../text/prompt-text.js';
import { meanOf, weigh, type Evidence } from './choose.js';
import type { Suggestion, SimilarPattern } from './types.js';
import type { Queryable } from '../../db/queryable.js';

/** `search`: where it is known already. */
export type SuggestOptions = { limit?: number | undefined; search?: Search | undefined };

const patternsLookedAt = 40;

/** How the patterns of a model are searched. */
export type Search = {
  /** The least cosine similarity of a pattern to a prompt: the calibrated one, else the usual one of the model. */
  threshold: number;
  /** Of the transaction that asks: how far the vector index is searched. */
  settings: Readonly<Record<string, string>>;
};

export async function searchOf(database: Database, model: string): Promise<Search> {
  const { schema, extensions } = database.capabilities;
  return database.transaction({ readOnly: true }, async (tx) => {
    const isKept = await hasConsoleTable(tx, 'embedding_thresholds');
    const kept = isKept ? await calibratedThreshold(tx, schema, model) : undefined;
    const isCluster = hasRowsOnWorkers(database.capabilities);
    const { rows: indexes } = await tx.query<IndexRow>(indexStatement);
    const rows = isCluster ? await withRowsOfWorkers(tx, indexes) : indexes;
    const [asked] = (await tx.query<AskedRow>(askedStatement)).rows;
    return {
      threshold: kept ?? usualThreshold(model),
      settings: {
        // The index lies on a worker, which hears of settings only so.
        ...(isCluster ? { 'citus.propagate_set_commands': 'local' } : {}),
        ...searchSettings(rows, extensions.vector?.version ?? '', asked),
      },
    };
  });
}

type IndexRow = { method: 'ivfflat' | 'hnsw'; lists: number; rows: number };

/** What a coordinator's catalogue says of their number is of an empty shell. */
async function withRowsOfWorkers(tx: Queryable, indexes: readonly IndexRow[]): Promise<IndexRow[]> {
  const counted = await tx.query<{ rows: number }>(
    'SELECT count(*) AS rows FROM success_patterns WHERE prompt_embedding IS NOT NULL',
  );
  const rows = counted.rows[0]?.rows ?? 0;
  return indexes.map((index) => ({ ...index, rows }));
}

const indexStatement = `
SELECT am.amname::text AS method, COALESCE((SELECT option_value::int FROM pg_options_to_table(i.reloptions)
    WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$'), ${defaultLists}) AS lists,
  GREATEST(i.reltuples, t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::float8 AS rows
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_am AS am ON am.oid = i.relam AND am.amname IN ('ivfflat', 'hnsw')
WHERE t.oid = 'success_patterns'::regclass AND x.indisvalid`;

/** How far the role, the database or the server has the index searched; null or empty where it says nothing. */
type AskedRow = { ef_search: string | null; probes: string | null };

const askedStatement = `
SELECT current_setting('hnsw.ef_search', true) AS ef_search, current_setting('ivfflat.probes', true) AS probes`;

/**
 * As find_similar_patterns searches, by any role, but in no more lists than hold what is near enough. Patterns that are filtered
 * out (of another model, not active) make the index go on, within bounds. What the role asks for is never lowered.
 */
function searchSettings(
  indexes: readonly IndexRow[],
  vectorVersion: string,
  asked: AskedRow | undefined,
): Search['settings'] {
  const numberIn = (text: string | null | undefined) => readNumber(text) || 0;
  const [major = 0, minor = 0] = vectorVersion.split('.').map(readNumber);
  const isIterative = major > 0 || minor >= 8;
  const settings: Record<string, string> = {};
  for (const { method, lists, rows } of indexes) {
    // Vectors lie outside of the table's pages: the planner takes comparing them all for much cheaper than it is.
    if (rows > comparedAtLeast) settings.enable_seqscan = 'off';
    if (isIterative) settings[`${method}.iterative_scan`] = 'relaxed_order';
    if (method === 'hnsw')
      settings['hnsw.ef_search'] = String(Math.max(100, numberIn(asked?.ef_search)));
    else {
      const before = Math.max(numberIn(settings['ivfflat.probes']), numberIn(asked?.probes));
      const probes = Math.max(probesForNear(lists, rows), before);
      settings['ivfflat.probes'] = String(probes);
      // Without a bound, its default, a search for which too little is near enough reads the whole table.
      if (isIterative) settings['ivfflat.max_probes'] = String(Math.min(32_768, 4 * probes));
    }
  }
  return settings;
}

/** The vector by which a prompt is compared; undefined when the prompt says too little. */
export async function vectorFor(
  embedder: Embedder,
  prompt: string,
): Promise<Float32Array | undefined> {
  const request = requestOf(prompt);
  if (request === undefined) return undefined;
  const [vector] = await embedder.embed([request]);
  return vector;
}

/** What is known of a prompt, nearest first, and what to do by it. */
export async function suggest(
  database: Database,
  embedder: Embedder,
  prompt: string,
  { limit = 5, search }: SuggestOptions = {},
): Promise<Suggestion> {
  const { model } = embedder;
  const vector = await vectorFor(embedder, prompt);
  const base = { prompt: firstOf(requestText(prompt), 200), model };
  if (!vector) {
    const reason = 'Nothing known: the prompt says too little to be compared.';
    return { ...base, patterns: [], recommendation: null, reason };
  }
  const { threshold, settings } = search ?? (await searchOf(database, model));
  const found = await database.transaction({ readOnly: true, settings }, (tx) =>
    findSimilar(tx, vector, { threshold, model }),
  );
  const best = bestOf(found);
  const otherwise = found.length === 0 ? await reasonWithoutAny(database, model) : undefined;
  const reason = best ? reasonFor(best) : (otherwise ?? reasonForNone(found, threshold));
  return {
    ...base,
    patterns: found.slice(0, limit).map(({ pattern }) => pattern),
    recommendation: best
      ? {
          agent: best.pattern.agents[0] ?? 'unknown',
          agents: best.pattern.agents,
          patternId: best.pattern.id,
          reason,
        }
      : null,
    reason,
  };
}

/** Patterns that are as near as the nearest, but for so much, are of one request: the better one wins. */
const asNear = 0.1;

function bestOf(found: readonly Found[]): Found | undefined {
  const nearest = found[0]?.pattern.similarity ?? 0;
  return found
    .filter(({ pattern, evidence }) => {
      const isNear = pattern.similarity >= nearest - asNear;
      return (
        isNear && pattern.success.of > 0 && meanOf(evidence) >= 0.5 && pattern.agents.length > 0
      );
    })
    .toSorted((one, other) => meanOf(other.evidence) - meanOf(one.evidence))[0];
}

function reasonFor({ pattern }: Found): string {
  const { success, agents, similarity, fewUses, expectedDurationMs, intent } = pattern;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const counted = `${percent(success.rate)} of ${success.of} went well (${percent(success.low)} to ${percent(success.high)}${fewUses ? ', few uses' : ''})`;
  const took =
    expectedDurationMs === null ? '' : `, usually in ${formatDuration(expectedDurationMs)}`;
  return `${agents.join(' → ')} for ${intent}: ${counted}${took}; similarity ${similarity.toFixed(2)}.`;
}

function reasonForNone(found: readonly Found[], threshold: number): string {
  return found.length === 0
    ? `Nothing known: no pattern has a similarity of ${threshold} or more.`
    : 'Nothing to recommend: what was done with such prompts mostly failed.';
}

/** Where no pattern could be compared: there is none, or only such of another model. */
async function reasonWithoutAny(database: Database, model: string): Promise<string | undefined> {
  const [there] = await database.read<{ own: boolean; other: string | null }>(
    `SELECT own, CASE WHEN NOT own THEN
       (SELECT left(embedding_model, 200) ${comparable} AND embedding_model <> $1 LIMIT 1) END AS other
     FROM (SELECT EXISTS (SELECT ${comparable} AND embedding_model = $1) AS own) AS there`,
    [model],
  );
  if (!there || there.own) return undefined;
  return there.other === null
    ? 'Nothing known: no pattern has an embedding yet; trace-console learn makes some.'
    : `Nothing known: no pattern has the embedding ${model}, but some have ${there.other}; --embedding says which one is used.`;
}

const comparable = 'FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL';

type Learned = {
  recent?: { good?: unknown; bad?: unknown };
  median_ms?: unknown;
  cost_usd?: unknown;
};

type PatternRow = {
  id: string;
  similarity: number;
  intent: string;
  agents: string[];
  good: number;
  bad: number;
  avg_ms: number | null;
  learned: Learned | null;
  tools: string[] | null;
  last_used_at: Date | null;
  outcomes: string[] | null;
  lately_good: number;
  lately_bad: number;
};

/** A pattern near a prompt, with the evidence that its uses are. */
export type Found = { pattern: SimilarPattern; evidence: Evidence };

const usesLookedAt = 40;
const fewUses = 10;

/**
 * The patterns nearest to a vector, of its own model only; `$1`: vector, `$2`: threshold, `$3`: how many, `$4`: model. The threshold
 * stands outside: within it would make the index go on for patterns that are not near enough. The last uses of each pattern come
 * over idx_pattern_usage_pattern.
 */
const nearestStatement = `
SELECT p.id, near.similarity, p.intent_classification AS intent, p.agent_sequence AS agents, p.success_count AS good,
  p.failure_count AS bad, p.avg_duration_ms AS avg_ms, p.context->'learned' AS learned, p.last_used_at,
  ARRAY(SELECT h.step->>'name' FROM jsonb_array_elements(
    CASE WHEN jsonb_typeof(p.hook_sequence) = 'array' THEN p.hook_sequence ELSE '[]' END) WITH ORDINALITY AS h (step, n)
    WHERE h.step->>'type' = 'ToolUse' ORDER BY h.n LIMIT 12) AS tools,
  ARRAY(SELECT l.outcome FROM pattern_usage_log AS l WHERE l.pattern_id = p.id AND l.outcome <> 'skipped'
    ORDER BY l.used_at DESC LIMIT ${usesLookedAt}) AS outcomes,
  lately.good AS lately_good, lately.bad AS lately_bad
FROM (
  SELECT n.id, 1 - (n.prompt_embedding <=> $1::vector) AS similarity FROM success_patterns AS n
  WHERE n.is_active AND n.prompt_embedding IS NOT NULL AND n.embedding_model = $4
  ORDER BY n.prompt_embedding <=> $1::vector LIMIT $3::integer
) AS near JOIN success_patterns AS p ON p.id = near.id CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE near.similarity >= $2::float8 AND near.similarity <> 'NaN'
ORDER BY near.similarity DESC, p.id`;

/** In a transaction with the settings of the {@link Search}. */
export async function findSimilar(
  tx: Queryable,
  vector: Float32Array,
  { threshold, model }: { threshold: number; model: string },
): Promise<Found[]> {
  const { rows } = await tx.query<PatternRow>(nearestStatement, [
    vectorText(vector),
    threshold,
    patternsLookedAt,
    model,
  ]);
  return rows.map((row) => {
    const evidence = weigh(row.outcomes ?? [], learnedEvidence(row));
    const { learned } = row;
    return {
      evidence,
      pattern: {
        id: row.id,
        similarity: row.similarity,
        intent: row.intent,
        agents: row.agents,
        success: wilson(row.good, row.good + row.bad),
        fewUses: row.good + row.bad < fewUses,
        recentRate: latelyRate({ good: row.lately_good, bad: row.lately_bad }),
        expectedDurationMs: numberOr(learned?.median_ms, row.avg_ms),
        expectedCostUsd: numberOr(learned?.cost_usd, null),
        tools: row.tools ?? [],
        lastUsedAt: row.last_used_at?.toISOString() ?? null,
      },
    };
  });
}

/** JSON that anybody may have written. */
function learnedEvidence({ learned, good, bad }: PatternRow): Evidence {
  const recent = learned?.recent;
  const [recentGood, recentBad] = [numberOr(recent?.good, null), numberOr(recent?.bad, null)];
  if (recentGood === null || recentBad === null) return { good, bad };
  return { good: Math.max(0, recentGood), bad: Math.max(0, recentBad) };
}

function numberOr<Other>(value: unknown, other: Other): number | Other {
  return typeof value === 'number' && Number.isFinite(value) ? value : other;
}

/** The threshold that was calibrated for a model on this schema. */
async function calibratedThreshold(
  tx: Queryable,
  schema: string,
  model: string,
): Promise<number | undefined> {
  const { rows } = await tx.query<{ threshold: number }>(
    'SELECT threshold FROM trace_console.embedding_thresholds WHERE target_schema = $1 AND model = $2',
    [schema, model],
  );
  return rows[0]?.threshold;
}
