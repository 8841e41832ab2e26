import { objectOf, readNumber } from '../../core/values.js';
import { wilson } from '../../core/share.js';
import { formatAge, formatDuration } from '../../core/format/time.js';
import { counted, countedShort, formatCount, formatShare } from '../../core/format/number.js';
import { sparkline, type SummaryLine } from '../contract/column.js';
import {
  type DetailAccess,
  type Opening,
  type OpeningLine,
  type RecordRow,
  sectionOr,
} from '../contract/opening.js';
import { fullRecord } from './record.js';
import { boundedText } from '../../db/quote.js';

const neighboursShown = 8;
const days = 30;

/** By the pattern's own embedding; the function bounds what is looked at. `$1`: pattern, `$2`: how many. */
const neighboursStatement = `
SELECT n.id, (SELECT ${boundedText('m.embedding_model', 200)} FROM success_patterns AS m WHERE m.id = n.id) AS model,
  ${boundedText('n.intent_classification', 200)} AS intent, n.similarity, n.success_rate::float8 AS success_rate,
  n.total_usage_count AS uses, n.avg_duration_ms AS avg_ms, ${boundedText('n.prompt_text', 120)} AS prompt
FROM (SELECT prompt_embedding FROM success_patterns WHERE id = $1 AND prompt_embedding IS NOT NULL) AS p
CROSS JOIN LATERAL find_similar_patterns(p.prompt_embedding, -1, $2 + 1) AS n
WHERE n.id <> $1
ORDER BY n.similarity DESC
LIMIT $2`;

type NeighbourRow = {
  id: string;
  model: string | null;
  intent: string | null;
  similarity: number;
  success_rate: number | null;
  uses: number | null;
  avg_ms: number | null;
  prompt: string | null;
};

/** Uses a day and outcome, by idx_pattern_usage_pattern. `$1`: pattern, `$2`: days. */
const usageStatement = `
SELECT floor(date_part('epoch', now() - used_at) / 86400)::int AS days_ago, outcome, count(*)::int AS uses,
  date_part('epoch', now() - max(used_at)) * 1000 AS last_ms
FROM pattern_usage_log
WHERE pattern_id = $1 AND used_at > now() - $2 * interval '1 day' AND used_at <= now()
GROUP BY 1, 2`;

type UsageRow = { days_ago: number; outcome: string | null; uses: number; last_ms: number };

/** A pattern: which hooks it ran, how it was used, and the patterns nearest to it by embedding. */
export function patternOpening(title: string, id: string): Opening {
  return {
    title,
    async read(access) {
      const { text, values } = fullRecord(title, 'success_patterns', id, access.shape);
      const rows = await access.read<RecordRow>(text, values);
      const [row] = rows;
      if (!row) return { kind: 'records', title, rows };
      return {
        kind: 'records',
        title,
        rows,
        sections: [
          await sectionOr('Its life', () => lifeLines(access, row)),
          { title: 'Hook sequence', lines: [[{ text: sequenceText(row.hook_sequence) }]] },
          await sectionOr(`Uses in ${days} days`, () => usageLines(access, id)),
          await sectionOr('Where a router offered it', () => effectLines(access, row)),
          await sectionOr('Nearest patterns by embedding', () => neighbourLines(access, row)),
        ],
      };
    },
  };
}

/**
 * How a pattern goes lately, of `p`: its last 20 logged uses, or, where fewer than five were logged, the turns that
 * it was learned from, each weighing 0.97 of the one after it.
 */
export const latelySql = `
SELECT CASE WHEN log.good + log.bad >= 5 THEN log.good ELSE learned.good END AS good,
  CASE WHEN log.good + log.bad >= 5 THEN log.bad ELSE learned.bad END AS bad
FROM (
  SELECT count(*) FILTER (WHERE u.outcome = 'success')::float8 AS good,
    count(*) FILTER (WHERE u.outcome = 'failure')::float8 AS bad
  FROM (SELECT l.outcome FROM pattern_usage_log AS l WHERE l.pattern_id = p.id AND l.outcome IN ('success', 'failure')
        ORDER BY l.used_at DESC LIMIT 20) AS u) AS log
CROSS JOIN (
  SELECT ${numberIn('good')} AS good, ${numberIn('bad')} AS bad
  FROM (SELECT p.context #> '{learned,recent}' AS recent) AS r) AS learned`;

/** Of JSON that anybody may have written. */
function numberIn(key: string): string {
  return `CASE WHEN jsonb_typeof(recent -> '${key}') = 'number' THEN LEAST((recent ->> '${key}')::numeric, 1e9)::float8
    ELSE 0 END`;
}

/** `$1`: pattern. */
const lifeStatement = `
SELECT (date_part('epoch', now() - p.created_at) * 1000)::float8 AS known_ms,
  (date_part('epoch', now() - p.last_used_at) * 1000)::float8 AS used_ms,
  'learned' = ANY (p.tags) AS is_learned, left(p.context #>> '{learned,turns}', 20) AS turns,
  left(p.context #>> '{learned,first_at}', 40) AS first_at, ${boundedText('p.embedding_model', 200)} AS model,
  p.success_count AS good, p.failure_count AS bad, lately.good AS lately_good, lately.bad AS lately_bad,
  p.is_active
FROM success_patterns AS p CROSS JOIN LATERAL (${latelySql}) AS lately
WHERE p.id = $1`;

type LifeRow = {
  known_ms: number;
  used_ms: number | null;
  is_learned: boolean | null;
  turns: string | null;
  first_at: string | null;
  model: string | null;
  good: number | null;
  bad: number | null;
  lately_good: number;
  lately_bad: number;
  is_active: boolean | null;
};

/** Patterns that people merged into this one, by JSON that anybody may have written. */
function mergedOf(context: unknown): { id: string; intent: string }[] {
  const { merged } = objectOf(context);
  if (!Array.isArray(merged)) return [];
  return merged.slice(0, mostMerged).flatMap((one: unknown) => {
    const { id, intent } = objectOf(one);
    if (typeof id !== 'string' || !uuid.test(id)) return [];
    return [{ id, intent: typeof intent === 'string' ? intent.slice(0, 60) : id }];
  });
}

const mostMerged = 100;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

async function lifeLines(
  { read }: DetailAccess,
  { id, context }: RecordRow,
): Promise<SummaryLine[]> {
  const [row] = await read<LifeRow>(lifeStatement, [id]);
  if (!row) return [];
  const from = row.turns === null ? '' : ` from ${counted(readNumber(row.turns), 'turn')}`;
  return [
    [
      {
        text: `${row.is_learned ? `learned${from}, first written` : 'written'} ${formatAge(row.known_ms)} ago`,
      },
      { text: row.used_ms === null ? 'never used' : `used ${formatAge(row.used_ms)} ago` },
      {
        text: row.model === null ? 'without an embedding' : `embedding ${row.model}`,
        tone: 'muted',
      },
      ...(row.is_active === false ? [{ text: 'not active', tone: 'warning' as const }] : []),
    ],
    driftLine({
      good: row.good ?? 0,
      bad: row.bad ?? 0,
      latelyGood: row.lately_good,
      latelyBad: row.lately_bad,
    }),
    ...mergedLine(mergedOf(context)),
  ];
}

const mergedNamed = 3;

function mergedLine(merged: readonly { intent: string }[]): SummaryLine[] {
  if (merged.length === 0) return [];
  const named = merged.slice(0, mergedNamed).map(({ intent }) => intent);
  const more = merged.length - named.length;
  const names = [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return [[{ text: `merged into it: ${names}`, tone: 'muted' }]];
}

type Drift = { good: number; bad: number; latelyGood: number; latelyBad: number };

/** How much worse a pattern goes lately than ever, as a share; null where too little is known. */
export function driftOf({ good, bad, latelyGood, latelyBad }: Drift): number | null {
  if (good + bad === 0 || latelyGood + latelyBad < leastForDrift) return null;
  return good / (good + bad) - latelyGood / (latelyGood + latelyBad);
}

/** Fewer uses say nothing of how a pattern goes lately. */
export const leastForDrift = 3;
/** From which difference on a pattern counts as failing lately. */
export const notableDrift = 0.15;

function driftLine(figures: Drift): SummaryLine {
  const { good, bad, latelyGood, latelyBad } = figures;
  const drift = driftOf(figures);
  if (drift === null) return [{ text: 'too few uses to say how it goes lately', tone: 'muted' }];
  const rates = `${formatShare(latelyGood / (latelyGood + latelyBad))} succeed lately, ${formatShare(good / (good + bad))} ever`;
  if (drift >= notableDrift) return [{ text: `${rates}: it fails more`, tone: 'error' }];
  if (drift <= -notableDrift) return [{ text: `${rates}: it goes better`, tone: 'success' }];
  return [{ text: `${rates}: no drift` }];
}

/**
 * Turns that asked for the same, by who served them: `offered` by the pattern, not offered but by its agent, by another agent. A
 * pattern's key is `learned:GROUP:AGENT`. `$1`: schema, `$2`: its key, `$3`: it and what was merged into it, `$4`: how many of the
 * newest of each key.
 */
const effectStatement = `
WITH alike AS (
  SELECT $2::text AS key UNION
  (SELECT key FROM trace_console.learned_items
   WHERE target_schema = $1 AND kind = 'pattern' AND key LIKE 'learned:%' AND starts_with(key, substring($2 FROM '^learned:[^:]*:'))
   ORDER BY key LIMIT 50)
)
SELECT CASE WHEN offer.is_offered THEN 'offered' WHEN alike.key = $2 THEN 'agent' ELSE 'others' END AS served,
  count(*)::int AS turns, count(*) FILTER (WHERE l.is_good)::int AS good,
  (percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', l.ended_at - l.started_at) * 1000))::float8 AS median_ms
FROM alike CROSS JOIN LATERAL (
  SELECT * FROM trace_console.learned_traces WHERE target_schema = $1 AND pattern_key = alike.key
  ORDER BY ended_at DESC LIMIT $4) AS l
CROSS JOIN LATERAL (SELECT EXISTS (
  SELECT FROM execution_traces AS t JOIN agent_routing_decisions AS d ON d.trace_id = t.id
  WHERE t.correlation_id = l.correlation_id AND d.pattern_id = ANY ($3::uuid[])) AS is_offered) AS offer
GROUP BY 1`;

type Served = 'offered' | 'agent' | 'others';
type EffectRow = { served: Served; turns: number; good: number; median_ms: number | null };

/** In the order in which they are shown. */
const servedNames: Readonly<Record<Served, string>> = {
  offered: 'offered',
  agent: 'not offered',
  others: 'other agents',
};

const turnsCompared = 2_000;

async function effectLines(
  { read, shape }: DetailAccess,
  { id, pattern_hash: hash, context }: RecordRow,
): Promise<SummaryLine[]> {
  // A decision keeps the pattern that it was made by, also when that was merged into another one.
  const ids = [id, ...mergedOf(context).map((one) => one.id)];
  const rows = await read<EffectRow>(effectStatement, [shape.schema, hash, ids, turnsCompared]);
  if (rows.length === 0) {
    const isLearned = typeof hash === 'string' && hash.startsWith('learned:');
    const next = isLearned ? 'trace-console learn' : 'somebody else wrote it';
    return [[{ text: `no turn of it was learned from: ${next}`, tone: 'muted' }]];
  }
  const has = (served: Served) => rows.find((row) => row.served === served);
  const lines = (Object.keys(servedNames) as Served[]).flatMap((served): SummaryLine[] => {
    const row = has(served);
    if (!row) return [];
    const median = { text: `median ${formatDuration(row.median_ms)}`, tone: 'muted' as const };
    const turns = countedShort(row.turns, 'turn').padStart(11);
    const name = { text: servedNames[served], columns: 12 };
    return [[name, { text: turns }, { text: intervalText(row.good, row.turns) }, median]];
  });
  const notes = [effectNote(rows), ...(has('others') ? [othersNote] : [])];
  return [...lines, ...notes.map((text) => [{ text, tone: 'muted' as const }])];
}

const othersNote = 'Other agents: turns that asked for the same, served by another agent.';

function effectNote(rows: readonly EffectRow[]): string {
  if (rows.every(({ served }) => served !== 'offered'))
    return 'No router offered it in these turns.';
  return rows.length === 1
    ? 'It was offered in all of them: there is nothing to compare with.'
    : 'Not an experiment: turns where it was offered may be easier than the others.';
}

/** `83% succeeded (61% to 94%)`: with the 95 % interval, which few turns make wide. */
function intervalText(good: number, turns: number): string {
  const { rate, low, high } = wilson(good, turns);
  return `${formatShare(rate)} succeeded (${formatShare(low)} to ${formatShare(high)})`;
}

/** `UserPromptSubmit context-inject → Stop transcript-sync` */
function sequenceText(value: unknown): string {
  if (!Array.isArray(value) || value.length === 0) return 'none was written down';
  const steps = (value as readonly unknown[]).map(stepText);
  return steps.join(' → ');
}

/** Whatever the writer called its parts; jsonb keeps no order of keys. */
function stepText(step: unknown): string {
  if (typeof step !== 'object' || step === null) return String(step);
  const entries: [string, unknown][] = Object.entries(step);
  const isType = ([name]: [string, unknown]) => name === 'type' || name === 'hook_type';
  return [...entries.filter(isType), ...entries.filter((entry) => !isType(entry))]
    .flatMap(([, value]) => (typeof value === 'string' ? [value] : []))
    .join(' ');
}

async function usageLines({ read }: DetailAccess, id: string): Promise<SummaryLine[]> {
  const rows = await read<UsageRow>(usageStatement, [id, days]);
  if (rows.length === 0) return [[{ text: 'none', tone: 'muted' }]];
  const perDay = Array.from({ length: days }, (_, day) =>
    sumOf(rows.filter((row) => row.days_ago === days - 1 - day)),
  );
  const of = (outcome: string) => sumOf(rows.filter((row) => row.outcome === outcome));
  const lastMs = Math.min(...rows.map(({ last_ms: ms }) => ms));
  return [
    [{ text: sparkline(perDay), tone: 'accent' }, { text: 'a day, today at the right' }],
    [
      { text: `${countedShort(sumOf(rows), 'use')}, the last ${formatAge(lastMs)} ago` },
      { text: `${formatCount(of('success'))} succeeded`, tone: 'success' },
      {
        text: `${formatCount(of('failure'))} failed`,
        ...(of('failure') > 0 ? { tone: 'error' } : {}),
      },
      { text: `${formatCount(of('partial') + of('skipped'))} partial or skipped`, tone: 'muted' },
    ],
  ];
}

function sumOf(rows: readonly UsageRow[]): number {
  return rows.reduce((sum, { uses }) => sum + uses, 0);
}

async function neighbourLines(
  { read }: DetailAccess,
  { id, embedding_model: model }: RecordRow,
): Promise<OpeningLine[]> {
  const rows = await read<NeighbourRow>(neighboursStatement, [id, neighboursShown]);
  if (rows.length === 0)
    return [{ line: [{ text: 'none: it has no embedding, or is alone', tone: 'muted' }] }];
  return rows.map((row) => {
    const isTwin = row.model === model && row.similarity >= twinSimilarity;
    return {
      line: [
        { text: row.similarity.toFixed(3), tone: 'accent' },
        { text: row.intent ?? '', columns: 24 },
        { text: (row.uses ? successOf(row) : 'not used yet').padEnd(20) },
        { text: formatDuration(row.avg_ms).padStart(6) },
        ...(isTwin ? [{ text: 'asks for the same', tone: 'warning' as const }] : []),
        { text: row.prompt ?? '', tone: 'muted' },
      ],
      opening: patternOpening(`Pattern ${row.intent ?? row.id}`, row.id),
    };
  });
}

const successOf = ({ success_rate: rate, uses }: NeighbourRow) =>
  `${formatShare(rate)} of ${countedShort(uses, 'use')}`;

/** From which cosine similarity on two patterns of one embedding model are shown as twins. */
export const twinSimilarity = 0.9;
