import { formatCount } from '../../core/format/number.js';
import { latelySql, leastForLately } from '../../core/share.js';
import { boundedText } from '../../db/quote.js';
import type { Queryable } from '../../db/queryable.js';
import { namedCommands, type ComparedFigures, type ReadRequest } from '../contract/pane.js';
import { boundedTexts, columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import { columnOf, type CallSource } from './calls.js';
import { timed } from './late-rows.js';
import { CallsReader, type CallGroup } from './calls-reader.js';
import { longestComparedMs, WindowBefore } from './comparison.js';
import { notableDrift, twinSimilarity } from './pattern.js';

/** Logged uses of patterns in the window and in the one before. */
export type PatternUses = {
  byId: ReadonlyMap<string, ComparedFigures> | undefined;
  /** Of a pattern that was used in neither window. */
  none: ComparedFigures | null;
  /** How much of both windows is counted, 0..1. */
  share: number;
};

/** They are not counted. */
export const noUses: PatternUses = { byId: undefined, none: null, share: 1 };

/** Counts logged uses; a reading costs what came since the last one. */
export class PatternUsesReader {
  readonly #calls = new CallsReader({ source: patternUses });
  readonly #before = new WindowBefore({ source: patternUses });

  /** Logged uses by the id of their pattern, of both windows; longer windows than a day are not compared. */
  async read(tx: Queryable, request: ReadRequest): Promise<PatternUses> {
    if (request.windowMs > longestComparedMs || !isLogged(request.shape)) return noUses;
    const compared = await this.#before.readWith(this.#calls, tx, request);
    const { found: now, before, share } = compared;
    const then = new Map([...(before?.values() ?? [])].map((group) => [group.groups[0], group]));
    const zero = before === null ? null : 0;
    const figuresOf = (is: CallGroup | undefined, was: CallGroup | undefined): ComparedFigures => ({
      calls: { now: is?.calls ?? 0, before: was?.calls ?? zero },
      failures: { now: is?.failures ?? 0, before: was?.failures ?? zero },
      p95Ms: { now: is?.p95Ms ?? null, before: was?.p95Ms ?? null },
    });
    const is = new Map(now.groups.map((group) => [group.groups[0], group]));
    const byId = new Map(
      [...new Set([...is.keys(), ...then.keys()])].flatMap((id) =>
        typeof id === 'string' ? [[id, figuresOf(is.get(id), then.get(id))] as const] : [],
      ),
    );
    return { byId, none: figuresOf(undefined, undefined), share };
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function isLogged(shape: SchemaShape): boolean {
  return ['pattern_id', 'used_at', 'outcome'].every((column) =>
    hasColumn(shape, 'pattern_usage_log', column),
  );
}

/** Logged uses by pattern. By idx_pattern_usage_used_at. */
export function patternUses(shape: SchemaShape): CallSource {
  const column = columnOf(shape, 'pattern_usage_log', 'u');
  return {
    from: 'pattern_usage_log AS u',
    at: 'u.used_at',
    groups: ['u.pattern_id::text'],
    failed: "u.outcome = 'failure'",
    inProgress: 'false',
    duration: column('actual_duration_ms', 'bigint'),
    sums: [],
    reads: [timed.uses],
  };
}

/** As {@link patternUses}, with the names of the patterns. It looks up one row a use, so it is too slow to be asked again and again. */
export function namedPatternUses(shape: SchemaShape): CallSource {
  const uses = patternUses(shape);
  const name = `(SELECT ${boundedText("COALESCE(NULLIF(p.intent_classification, ''), p.pattern_hash)", 200)}
    FROM success_patterns AS p WHERE p.id = u.pattern_id)`;
  return { ...uses, groups: [...uses.groups, name] };
}

/** Why a choice cannot be answered here; undefined: it can. The best patterns would stand under its title. */
export function whyUnknown({ shape, variant, windowMs }: ReadRequest): string | undefined {
  if (variant === undefined || variant === best.id) return undefined;
  if (!isWhole(shape)) return 'not known: the schema lacks columns of patterns or of their uses';
  if (variant === twins.id && !hasColumn(shape, 'success_patterns', 'prompt_embedding')) {
    return 'not known: patterns have no embeddings here';
  }
  if (variant !== used.id) return undefined;
  if (!isLogged(shape)) return 'not counted: uses of patterns are not logged here';
  return windowMs > longestComparedMs ? 'not counted beyond a day' : undefined;
}

/** How a pattern goes lately is known. */
function isWhole(shape: SchemaShape): boolean {
  return (
    hasColumn(shape, 'pattern_effectiveness', 'id') &&
    hasColumn(shape, 'success_patterns', 'context') &&
    hasColumn(shape, 'pattern_usage_log', 'outcome')
  );
}

type Statement = { text: string; values: readonly unknown[] };

/** Of a choice that {@link whyUnknown} has no objection to. */
export function patternsStatement(
  shape: SchemaShape,
  variant: string | undefined,
  most: number,
  uses: PatternUses['byId'],
): Statement {
  if (variant === used.id) {
    const first = [...(uses ?? [])]
      .toSorted(([, a], [, b]) => usesOf(b) - usesOf(a))
      .slice(0, most);
    return { text: usedStatement(shape), values: [first.map(([id]) => id)] };
  }
  if (variant === failing.id) {
    return {
      text: failingStatement(shape),
      values: [most, lastUsedSeen, notableDrift, leastForLately],
    };
  }
  if (variant === twins.id) {
    return { text: twinsStatement(shape), values: [most, twinsSeen, twinSimilarity] };
  }
  return { text: topPatternsStatement(shape), values: [most] };
}

function usesOf({ calls }: ComparedFigures): number {
  return (calls?.now ?? 0) + (calls?.before ?? 0);
}

/** Of so many patterns, those used last, it is seen how they go lately: 60 µs each that ever failed. */
const lastUsedSeen = 1_000;
/** Of so many patterns, those used last, each is compared with each: 160 ms where all have an embedding. */
const twinsSeen = 150;

export const best = { id: 'best', title: 'the best' };
export const used = other('used', 'used in the window', 'No logged use was counted in the window');
export const failing = other(
  'failing',
  'fail lately',
  `None of the patterns used last (${formatCount(lastUsedSeen)} at most) is known to fail lately`,
);
export const twins = other(
  'twins',
  'ask for the same',
  `None of the patterns used last (${twinsSeen} at most) is known to ask for the same`,
);

function other(id: string, title: string, none: string) {
  return {
    id,
    title,
    empty: `${none}; :${namedCommands.group} shows others. trace-console learn finds patterns.`,
  };
}

/**
 * Active patterns that go worse lately than ever, the worst first: one that never failed cannot. Those that were never used would
 * be the first of the index. `$1`: how many, `$2`: of how many, `$3`: by how much, `$4`: from how many uses on it is known how
 * they go lately.
 */
function failingStatement(shape: SchemaShape): string {
  return `
WITH p AS MATERIALIZED (
  SELECT * FROM success_patterns WHERE is_active AND last_used_at IS NOT NULL ORDER BY last_used_at DESC LIMIT $2),
figures AS (
  SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin,
    success_count::float8 / NULLIF(success_count + failure_count, 0)
      - lately.good / NULLIF(lately.good + lately.bad, 0) AS worse
  FROM p CROSS JOIN LATERAL (${latelySql}) AS lately
  WHERE p.failure_count > 0 AND lately.good + lately.bad >= $4)
SELECT * FROM figures WHERE worse >= $3 ORDER BY worse DESC LIMIT $1`;
}

/** Patterns that were used in the window or in the one before. `$1`: their ids. */
function usedStatement(shape: SchemaShape): string {
  return `
SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin
FROM success_patterns AS p CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE p.id = ANY ($1::uuid[])
ORDER BY p.success_rate DESC, p.total_usage_count DESC`;
}

/**
 * Active patterns of one embedding model, one leading agent and one origin (learned or not) that ask for the same, each with its
 * nearest: those that can be merged. What another agent does for the same prompts is no duplicate: a router chooses. Those that
 * were never used come last; in an order of its own, which the index has. `$1`: how many, `$2`: of how many, `$3`: from which
 * similarity on.
 */
function twinsStatement(shape: SchemaShape): string {
  return `
WITH p AS MATERIALIZED (
  (SELECT * FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL AND last_used_at IS NOT NULL
   ORDER BY last_used_at DESC LIMIT $2)
  UNION ALL
  (SELECT * FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL AND last_used_at IS NULL LIMIT $2)
  LIMIT $2)
SELECT ${columnsOf(shape, 'p')}, lately.good AS lately_good, lately.bad AS lately_bad,
  ${boundedText('COALESCE(near.intent_classification, near.pattern_hash)', 195)} || to_char(near.similarity, 'FM" "0.00') AS twin
FROM p
CROSS JOIN LATERAL (
  SELECT o.intent_classification, o.pattern_hash, 1 - (o.prompt_embedding <=> p.prompt_embedding) AS similarity
  FROM p AS o
  WHERE o.id <> p.id AND o.embedding_model IS NOT DISTINCT FROM p.embedding_model
    AND o.agent_sequence[1] IS NOT DISTINCT FROM p.agent_sequence[1]
    AND (o.pattern_hash LIKE 'learned:%') IS NOT DISTINCT FROM (p.pattern_hash LIKE 'learned:%')
  ORDER BY o.prompt_embedding <=> p.prompt_embedding LIMIT 1) AS near
CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE near.similarity >= $3 AND near.similarity <> 'NaN'
ORDER BY near.similarity DESC, p.id LIMIT $1`;
}

/**
 * The best active patterns. `$1`: how many. The first rows of idx_pattern_effectiveness, in its order: 100
 * of 50,000 patterns take 0.7 ms.
 */
function topPatternsStatement(shape: SchemaShape): string {
  const page = `
SELECT ${columnsOf(shape, 'v')} FROM pattern_effectiveness AS v
ORDER BY success_rate DESC, total_usage_count DESC
LIMIT $1`;
  // How each of them goes lately costs a look into the log: the whole reading of 100 takes 7 ms with 50,000 patterns.
  return isWhole(shape)
    ? `
SELECT best.*, lately.good AS lately_good, lately.bad AS lately_bad, NULL::text AS twin
FROM (${page}) AS best
LEFT JOIN LATERAL (
  SELECT l.* FROM success_patterns AS p CROSS JOIN LATERAL (${latelySql}) AS l WHERE p.id = best.id
  OFFSET 0) AS lately ON true
ORDER BY best.success_rate DESC, best.uses DESC`
    : `
SELECT best.*, NULL::float8 AS lately_good, NULL::float8 AS lately_bad, NULL::text AS twin
FROM (${page}) AS best`;
}

function columnsOf(shape: SchemaShape, alias: string): string {
  const optional = (column: string, type: string) => {
    const sql = columnOrNull(shape, 'pattern_effectiveness', column, type);
    return hasColumn(shape, 'pattern_effectiveness', column) ? `${alias}.${sql}` : sql;
  };
  return `
  date_part('epoch', now()) * 1000 AS now_ms,
  ${optional('id', 'uuid')} AS id,
  ${boundedText(optional('pattern_hash', 'text'), 512)} AS hash,
  ${boundedText(optional('intent_classification', 'text'), 512)} AS intent,
  ${boundedTexts(optional('keywords', 'text[]'))} AS keywords,
  ${boundedTexts(optional('agent_sequence', 'text[]'))} AS agents,
  ${optional('success_count', 'integer')} AS successes,
  ${optional('failure_count', 'integer')} AS failures,
  ${alias}.total_usage_count AS uses,
  ${alias}.success_rate,
  ${optional('avg_duration_ms', 'bigint')} AS avg_ms,
  ${optional('confidence_score', 'numeric')} AS confidence,
  ${optional('last_used_at', 'timestamptz')} AS last_used`;
}

export type TopPatternsRow = {
  now_ms: number;
  id: string | null;
  hash: string | null;
  intent: string | null;
  keywords: string[] | null;
  agents: string[] | null;
  successes: number | null;
  failures: number | null;
  uses: number | null;
  success_rate: number | null;
  avg_ms: number | null;
  confidence: number | null;
  last_used: Date | null;
  lately_good: number | null;
  lately_bad: number | null;
  twin: string | null;
};
