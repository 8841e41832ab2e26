import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { wilson } from '../../core/share.js';
import { formatDuration } from '../../core/format/time.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import { usualThreshold, type Embedder, vectorText } from '../embedding/embedder.js';
import { requestOf } from '../learner/learner.js';
import { requestText } from '../text/prompt-text.js';
import { meanOf, weigh, type Evidence } from './choose.js';
import type { Suggestion, SimilarPattern } from './types.js';
import type { Queryable } from '../../db/queryable.js';

export type SuggestOptions = { limit?: number | undefined; threshold?: number | undefined };

const patternsLookedAt = 40;

/** The least cosine similarity of a pattern to a prompt: the calibrated one, else the usual one of the model. */
export async function thresholdFor(database: Database, model: string): Promise<number> {
  const { schema } = database.capabilities;
  return database.transaction({ readOnly: true }, async (tx) => {
    const isKept = await hasConsoleTable(tx, 'embedding_thresholds');
    const kept = isKept ? await calibratedThreshold(tx, schema, model) : undefined;
    return kept ?? usualThreshold(model);
  });
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
  { limit = 5, threshold }: SuggestOptions = {},
): Promise<Suggestion> {
  const { model } = embedder;
  const vector = await vectorFor(embedder, prompt);
  const base = { prompt: requestText(prompt).slice(0, 200), model };
  if (!vector) {
    const reason = 'Nothing known: the prompt says too little to be compared.';
    return { ...base, patterns: [], recommendation: null, reason };
  }
  const least = threshold ?? (await thresholdFor(database, model));
  const query = { threshold: least, limit: patternsLookedAt, model };
  const find = (by: 'function' | 'statement') =>
    database.transaction({ readOnly: true }, (tx) => findSimilar(tx, vector, query, by));
  const found = await find('function').catch((error: unknown) => {
    // A role that may only SELECT may not call functions.
    if (!(error instanceof ConsoleError && error.code === 'privilege_missing')) throw error;
    return find('statement');
  });
  const best = bestOf(found);
  const reason = best ? reasonFor(best) : reasonForNone(found, least);
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
};

/** A pattern near a prompt, with the evidence that its uses are. */
export type Found = { pattern: SimilarPattern; evidence: Evidence };

const usesLookedAt = 40;
const fewUses = 10;

/**
 * The patterns nearest to a vector, of its own model only. find_similar_patterns asks the index; the last uses of each
 * pattern come over idx_pattern_usage_pattern.
 */
const statement = (source: string) => `
SELECT p.id, f.similarity, p.intent_classification AS intent, p.agent_sequence AS agents, p.success_count AS good,
  p.failure_count AS bad, p.avg_duration_ms AS avg_ms, p.context->'learned' AS learned, p.last_used_at,
  ARRAY(SELECT h.step->>'name' FROM jsonb_array_elements(
    CASE WHEN jsonb_typeof(p.hook_sequence) = 'array' THEN p.hook_sequence ELSE '[]' END) WITH ORDINALITY AS h (step, n)
    WHERE h.step->>'type' = 'ToolUse' ORDER BY h.n LIMIT 12) AS tools,
  ARRAY(SELECT l.outcome FROM pattern_usage_log AS l WHERE l.pattern_id = p.id AND l.outcome <> 'skipped'
    ORDER BY l.used_at DESC LIMIT ${usesLookedAt}) AS outcomes
FROM ${source} AS f JOIN success_patterns AS p ON p.id = f.id
WHERE p.embedding_model = $4
ORDER BY f.similarity DESC, p.id`;

const sources = {
  function: 'find_similar_patterns($1::vector, $2, $3)',
  // As the function asks, but with the settings of the index that the role has.
  statement: `(
    SELECT near.id, near.similarity FROM (
      SELECT n.id, 1 - (n.prompt_embedding <=> $1::vector) AS similarity FROM success_patterns AS n
      WHERE n.is_active AND n.prompt_embedding IS NOT NULL
      ORDER BY n.prompt_embedding <=> $1::vector LIMIT $3::integer
    ) AS near WHERE near.similarity >= $2::float8
  )`,
} as const;

export async function findSimilar(
  tx: Queryable,
  vector: Float32Array,
  query: { threshold: number; limit: number; model: string },
  by: keyof typeof sources = 'function',
): Promise<Found[]> {
  const { threshold, limit, model } = query;
  const { rows } = await tx.query<PatternRow>(statement(sources[by]), [
    vectorText(vector),
    threshold,
    limit,
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
        recentRate: evidence.good + evidence.bad === 0 ? null : meanOf(evidence),
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
