import { counted, withSeparators } from '../../core/format/number.js';
import { groupBy } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { openConsoleTable } from '../../deploy/console-schema.js';
import {
  type Action,
  type ActionContext,
  oneOrCount,
  type Outcome,
  type Preview,
  type Progress,
  textsOf,
} from '../action.js';

export type MergeInput = {
  /** Ids. Two or more: exactly these become one. One: it and its duplicates. Absent: all duplicates. */
  patterns?: readonly string[];
  /** From which cosine similarity on two patterns are duplicates; default 0.9. */
  similarity?: number;
};

export type MergeResult = {
  /** Patterns that took others in. */
  kept: number;
  /** Patterns that are gone. */
  merged: number;
  usageLogs: number;
};

const usualSimilarity = 0.9;
/** So many patterns are compared with each other, those used most: under a second on one core. */
const compared = 1_000;
const mostListed = 20;
const limits = { statementTimeoutMs: 60_000 };

/**
 * Brings patterns that ask for the same into one: the one that is used most. Only patterns of one embedding model, one leading
 * agent and one origin (learned or not) are duplicates: what another agent does for the same prompts is a choice that a router
 * has, not a duplicate.
 */
export const mergePatterns: Action<MergeInput, MergeResult> = {
  id: 'merge-patterns',
  title: 'Merge patterns',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'prune', whenTaken: 'refuse' },
  subject: ({ patterns, similarity = usualSimilarity }) =>
    patterns && patterns.length > 1
      ? oneOrCount(patterns, 'patterns')
      : `${patterns?.[0] ?? 'all duplicates'}, similarity ${similarity} or more`,
  readInput,
  tables: () => ['success_patterns', 'pattern_usage_log'],
  offers: [
    {
      command: {
        id: 'merge-patterns',
        key: 'P',
        title: 'merge the chosen pattern with its duplicates, or the marked ones, after a preview',
      },
      rows: 'pattern',
      needs: 'a pattern',
      choose(rows) {
        const patterns = textsOf(rows, 'id');
        return { title: 'Merge patterns', input: patterns.length > 0 ? { patterns } : {} };
      },
    },
  ],
  preview,
  run,
};

type Pattern = {
  id: string;
  hash: string;
  intent: string;
  agent: string | null;
  model: string | null;
  uses: number;
  successes: number;
  failures: number;
};

/** A pattern that is kept, with those that go into it, each with its similarity to it. */
type Group = { kept: Pattern; gone: { pattern: Pattern; similarity: number | null }[] };

const columns = `p.id, p.pattern_hash AS hash, left(p.intent_classification, 60) AS intent, left(p.agent_sequence[1], 60) AS agent,
  left(p.embedding_model, 200) AS model, p.total_usage_count AS uses, p.success_count AS successes, p.failure_count AS failures`;

const isLearned = ({ hash }: Pick<Pattern, 'hash'>) => hash.startsWith('learned:');

/** Pairs of duplicates. `$1`: similarity; `$2`: patterns compared; `$3`: one of each pair, or null. The most used is kept. */
const pairsStatement = `
WITH p AS MATERIALIZED (
  SELECT * FROM success_patterns WHERE is_active AND prompt_embedding IS NOT NULL
  ORDER BY id = ANY ($3::uuid[]) DESC NULLS LAST, total_usage_count DESC, id LIMIT $2)
SELECT kept.id AS kept_id, gone.id AS gone_id, 1 - (kept.prompt_embedding <=> gone.prompt_embedding) AS similarity
FROM p AS kept JOIN p AS gone ON COALESCE(gone.agent_sequence[1], '') = COALESCE(kept.agent_sequence[1], '')
  AND COALESCE(gone.embedding_model, '') = COALESCE(kept.embedding_model, '')
  AND (gone.pattern_hash LIKE 'learned:%') = (kept.pattern_hash LIKE 'learned:%')
  AND (gone.total_usage_count, gone.id) < (kept.total_usage_count, kept.id)
WHERE 1 - (kept.prompt_embedding <=> gone.prompt_embedding) >= $1
  AND ($3::uuid[] IS NULL OR kept.id = ANY ($3) OR gone.id = ANY ($3))
ORDER BY kept.total_usage_count DESC, kept.id DESC, similarity DESC, gone.id`;

type Pair = { kept_id: string; gone_id: string; similarity: number };

async function findGroups(database: Database, input: MergeInput): Promise<Group[]> {
  const { patterns: chosen, similarity = usualSimilarity } = input;
  return database.transaction({ ...limits, readOnly: true }, async (tx) => {
    if (chosen && chosen.length > 1) return [await chosenGroup(tx, chosen)];
    const { rows: pairs } = await tx.query<Pair>(pairsStatement, [
      similarity,
      compared,
      chosen ?? null,
    ]);
    // A pattern is merged once, into one that is kept: otherwise a chain of neighbours would collapse into one pattern.
    const gone = new Map<string, Pair>();
    const kept = new Set<string>();
    for (const pair of pairs) {
      if (gone.has(pair.kept_id) || gone.has(pair.gone_id) || kept.has(pair.gone_id)) continue;
      kept.add(pair.kept_id);
      gone.set(pair.gone_id, pair);
    }
    const patterns = new Map(
      (await readPatterns(tx, [...kept, ...gone.keys()])).map((pattern) => [pattern.id, pattern]),
    );
    return [...groupBy([...gone.values()], ({ kept_id: id }) => id)].flatMap(([id, others]) => {
      const pattern = patterns.get(id);
      if (!pattern) return [];
      const of = ({ gone_id: other, similarity: near }: Pair) => {
        const found = patterns.get(other);
        return found ? [{ pattern: found, similarity: near }] : [];
      };
      return [{ kept: pattern, gone: others.flatMap(of) }];
    });
  });
}

async function readPatterns(tx: Queryable, ids: readonly string[]): Promise<Pattern[]> {
  const { rows } = await tx.query<Pattern>(
    `SELECT ${columns} FROM success_patterns AS p WHERE p.id = ANY ($1::uuid[])
     ORDER BY p.total_usage_count DESC, p.id DESC`,
    [ids],
  );
  return rows;
}

/** @throws ConsoleError `not_found`, `usage` where they differ in more than their prompts */
async function chosenGroup(tx: Queryable, ids: readonly string[]): Promise<Group> {
  const [kept, ...gone] = await readPatterns(tx, ids);
  if (!kept || gone.length < new Set(ids).size - 1) {
    throw new ConsoleError('not_found', 'Not all of these patterns are there any more.');
  }
  const other = gone.find(
    (one) =>
      one.model !== kept.model || one.agent !== kept.agent || isLearned(one) !== isLearned(kept),
  );
  if (other) {
    throw new ConsoleError(
      'usage',
      `${other.intent} and ${kept.intent} differ in their leading agent, embedding model or origin.`,
      { hint: 'What another agent does for the same prompts is no duplicate: a router chooses.' },
    );
  }
  const { rows } = await tx.query<{ id: string; similarity: number | null }>(
    `SELECT p.id, 1 - (p.prompt_embedding <=> k.prompt_embedding) AS similarity
     FROM success_patterns AS p, success_patterns AS k WHERE k.id = $1 AND p.id = ANY ($2::uuid[])`,
    [kept.id, ids],
  );
  const near = new Map(rows.map(({ id, similarity }) => [id, similarity]));
  return {
    kept,
    gone: gone.map((pattern) => ({ pattern, similarity: near.get(pattern.id) ?? null })),
  };
}

async function preview({ database }: ActionContext, input: MergeInput): Promise<Preview> {
  const groups = await findGroups(database, input);
  const gone = groups.flatMap((group) => group.gone);
  const isChosen = (input.patterns?.length ?? 0) > 1;
  const similarity = input.similarity ?? usualSimilarity;
  const far = gone.filter((one) => one.similarity === null || one.similarity < similarity).length;
  const lines = groups.flatMap(linesOf);
  const more = lines.length - mostListed;
  return {
    title: 'Merge patterns',
    facts: [
      {
        label: 'Merged',
        value: `${counted(gone.length, 'pattern')} into ${withSeparators(groups.length)}`,
      },
      {
        label: 'Duplicates',
        value: isChosen
          ? 'as chosen'
          : `similarity ${similarity} or more, same leading agent, embedding and origin; of the ${withSeparators(compared)} used most`,
      },
      { label: 'Counters', value: 'successes, failures and uses are added up; logged uses move' },
      {
        label: 'From now on',
        value: 'learning counts turns of the merged ones for the one that stays',
      },
      { label: 'Locks', value: 'the rows of these patterns, one group at a time' },
    ],
    list:
      more > 0 ? [...lines.slice(0, mostListed), `and ${withSeparators(more)} more lines`] : lines,
    sql: [],
    warnings: [
      'It cannot be undone: the merged rows are deleted.',
      ...(isChosen && far > 0
        ? [`${far} of them are not near: similarity under ${similarity}.`]
        : []),
    ],
    typed: 'merge',
    ...(gone.length === 0
      ? {
          nothing: `No two patterns of one leading agent have a similarity of ${similarity} or more.`,
        }
      : {}),
  };
}

/** The kept one, and below it each that goes into it, with why. */
function linesOf({ kept, gone }: Group): string[] {
  const figures = ({ uses, successes, failures }: Pattern) => {
    const judged = successes + failures;
    const rate = judged === 0 ? 'none judged' : `${Math.round((100 * successes) / judged)} % good`;
    return `${withSeparators(uses)} ${uses === 1 ? 'use' : 'uses'}, ${rate}`;
  };
  const near = (similarity: number | null) =>
    similarity === null ? 'not comparable' : `similarity ${similarity.toFixed(2)}`;
  // Figures come first, because a narrow dialog cuts the end of a line.
  return [
    `stays: ${figures(kept)}, the most: ${kept.intent} ${kept.hash.slice(0, 20)} by ${kept.agent ?? 'nobody'}`,
    ...gone.map(
      ({ pattern, similarity }) =>
        `  + ${near(similarity)}; ${figures(pattern)}: ${pattern.intent} ${pattern.hash.slice(0, 20)}`,
    ),
  ];
}

async function* run(
  { database, signal }: ActionContext,
  input: MergeInput,
): AsyncGenerator<Progress, Outcome<MergeResult>> {
  const groups = await findGroups(database, input);
  const result: MergeResult = { kept: 0, merged: 0, usageLogs: 0 };
  for (const group of groups) {
    yield { phase: 'merging', done: result.kept, total: groups.length, unit: 'groups' };
    if (signal.aborted) break;
    const { merged, usageLogs } = await mergeGroup(database, group);
    result.kept += merged > 0 ? 1 : 0;
    result.merged += merged;
    result.usageLogs += usageLogs;
  }
  const cancelled = signal.aborted && result.kept < groups.length;
  const count = withSeparators;
  return {
    summary: `${cancelled ? 'Cancelled after' : 'Merged'} ${counted(result.merged, 'pattern')} into ${count(result.kept)}; ${counted(result.usageLogs, 'logged use')} moved.`,
    cancelled,
    result,
  };
}

const mergeRow = `
UPDATE success_patterns AS k SET
  success_count = LEAST(2147483647, k.success_count::bigint + g.good),
  failure_count = LEAST(2147483647, k.failure_count::bigint + g.bad),
  total_usage_count = LEAST(2147483647, k.total_usage_count::bigint + g.uses),
  avg_duration_ms = COALESCE(round((COALESCE(k.avg_duration_ms * k.success_count::numeric, 0) + g.sum_ms)
    / NULLIF(CASE WHEN k.avg_duration_ms IS NULL THEN 0 ELSE k.success_count END + g.timed, 0)), k.avg_duration_ms),
  min_duration_ms = LEAST(k.min_duration_ms, g.min_ms), max_duration_ms = GREATEST(k.max_duration_ms, g.max_ms),
  last_used_at = GREATEST(k.last_used_at, g.last_used_at),
  context = k.context || jsonb_build_object('merged', g.merged || g.earlier || CASE
    WHEN jsonb_typeof(k.context->'merged') = 'array' THEN k.context->'merged' ELSE '[]' END)
FROM (
  SELECT sum(success_count) AS good, sum(failure_count) AS bad, sum(total_usage_count) AS uses,
    COALESCE(sum(avg_duration_ms * success_count::numeric), 0) AS sum_ms,
    COALESCE(sum(success_count) FILTER (WHERE avg_duration_ms IS NOT NULL), 0) AS timed,
    min(min_duration_ms) AS min_ms, max(max_duration_ms) AS max_ms, max(last_used_at) AS last_used_at,
    jsonb_agg(jsonb_build_object('id', id, 'hash', pattern_hash, 'intent', intent_classification, 'uses', total_usage_count,
      'merged_at', now()) ORDER BY id) AS merged,
    -- What the merged ones took in before: decisions keep the pattern that they were made by.
    (SELECT COALESCE(jsonb_agg(e.one), '[]') FROM success_patterns AS p CROSS JOIN jsonb_array_elements(
      CASE WHEN jsonb_typeof(p.context->'merged') = 'array' THEN p.context->'merged' ELSE '[]' END) AS e (one)
     WHERE p.id = ANY ($2::uuid[])) AS earlier
  FROM success_patterns WHERE id = ANY ($2::uuid[])) AS g
WHERE k.id = $1`;

/** In one transaction, between two of a learner's. A pattern that went meanwhile is left out. */
async function mergeGroup(
  database: Database,
  { kept, gone }: Group,
): Promise<{ merged: number; usageLogs: number }> {
  const { schema, user } = database.capabilities;
  return database.transaction({ ...limits, lockTimeoutMs: 5_000 }, async (tx) => {
    if (isLearned(kept)) {
      if (!(await openConsoleTable(tx, 'merged_patterns'))) {
        throw new ConsoleError(
          'privilege_missing',
          `"${user}" may not write trace_console.merged_patterns; learning would bring the patterns back.`,
          { hint: 'Merge as the owner of the tables.' },
        );
      }
      await tx.query(
        'SELECT FROM trace_console.learners WHERE target_schema = $1 FOR NO KEY UPDATE',
        [schema],
      );
    }
    const ids = gone.map(({ pattern }) => pattern.id);
    const { rows } = await tx.query<{ id: string; hash: string }>(
      `SELECT id, pattern_hash AS hash FROM success_patterns WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE`,
      [[kept.id, ...ids]],
    );
    const others = rows.filter(({ id }) => id !== kept.id);
    if (others.length === rows.length || others.length === 0) return { merged: 0, usageLogs: 0 };
    const there = others.map(({ id }) => id);
    await tx.query(mergeRow, [kept.id, there]);
    const { rowCount } = await tx.query(
      'UPDATE pattern_usage_log SET pattern_id = $1 WHERE pattern_id = ANY ($2::uuid[])',
      [kept.id, there],
    );
    if (isLearned(kept)) {
      const hashes = others.map(({ hash }) => hash);
      await rename(tx, schema, hashes, kept.hash);
    }
    await tx.query('DELETE FROM success_patterns WHERE id = ANY ($1::uuid[])', [there]);
    return { merged: there.length, usageLogs: rowCount ?? 0 };
  });
}

/** Turns that were learned from belong to the kept one; the learner adds up its own sums when it is next at work. */
async function rename(
  tx: Queryable,
  schema: string,
  hashes: readonly string[],
  into: string,
): Promise<void> {
  await tx.query(
    `INSERT INTO trace_console.merged_patterns (target_schema, pattern_key, into_key)
     SELECT $1, hash, $3 FROM unnest($2::text[]) AS hash
     ON CONFLICT (target_schema, pattern_key) DO UPDATE
     SET into_key = excluded.into_key, merged_at = now(), is_learned = false`,
    [schema, hashes, into],
  );
  await tx.query(
    `UPDATE trace_console.merged_patterns SET into_key = $3
     WHERE target_schema = $1 AND into_key = ANY ($2)`,
    [schema, hashes, into],
  );
  await tx.query(
    `UPDATE trace_console.learned_traces SET pattern_key = $3
     WHERE target_schema = $1 AND pattern_key = ANY ($2)`,
    [schema, hashes, into],
  );
}

/** The journal's JSON as an input again. */
function readInput(stored: unknown): MergeInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { patterns, similarity } = stored as Record<string, unknown>;
  const areIds =
    patterns === undefined ||
    (Array.isArray(patterns) &&
      patterns.every((id) => typeof id === 'string' && /^[0-9a-f-]{36}$/i.test(id)));
  const isShare = similarity === undefined || typeof similarity === 'number';
  return areIds && isShare ? stored : undefined;
}
