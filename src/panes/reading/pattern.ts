import { isUuid, objectOf, readNumber } from '../../core/values.js';
import { latelyRate, latelySql, wilson } from '../../core/share.js';
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
import { boundedText, secondsBetween } from '../../db/quote.js';

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

/** `$2`: days. */
const recent = (at: string) => `${at} > now() - $2 * interval '1 day' AND ${at} <= now()`;

/** Uses a day and outcome. `at`: when, `outcome`: SQL. */
const usesADay = (source: string, at: string, outcome: string) => `
SELECT floor(date_part('epoch', now() - ${at}) / 86400)::int AS days_ago, ${outcome} AS outcome, count(*)::int AS uses,
  date_part('epoch', now() - max(${at})) * 1000 AS last_ms
FROM ${source} AND ${recent(at)}
GROUP BY 1, 2`;

/** Logged uses, by idx_pattern_usage_pattern. `$1`: pattern, `$2`: days. */
const loggedStatement = usesADay('pattern_usage_log WHERE pattern_id = $1', 'used_at', 'outcome');

/** Turns that were learned from and whose use nobody logged, by learned_traces_pattern. `$1`: schema, `$2`: days, `$3`: key. */
const learnedStatement = usesADay(
  'trace_console.learned_traces WHERE target_schema = $1 AND pattern_key = $3 AND NOT is_logged',
  'ended_at',
  `CASE WHEN is_good THEN 'success' ELSE 'failure' END`,
);

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
          await sectionOr(`Uses in ${days} days`, () => usageLines(access, row)),
          await sectionOr('Where a router offered it', () => effectLines(access, row)),
          await sectionOr('Nearest patterns by embedding', () => neighbourLines(access, row)),
        ],
      };
    },
  };
}

/** `$1`: pattern. */
const lifeStatement = `
SELECT 1000 * ${secondsBetween('p.created_at', 'now()')} AS known_ms,
  1000 * ${secondsBetween('p.last_used_at', 'now()')} AS used_ms,
  'learned' = ANY (p.tags) AS is_learned, left(p.context #>> '{learned,turns}', 20) AS turns,
  left(p.context #>> '{learned,first_at}', 40) AS first_at, ${boundedText('p.embedding_model', 200)} AS model,
  p.success_count AS good, p.failure_count AS bad, lately.good AS lately_good, lately.bad AS lately_bad,
  p.is_active, left(p.context #>> '{learned,median_ms}', 20) AS median_ms, left(p.context #>> '{learned,p90_ms}', 20) AS p90_ms
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
  median_ms: string | null;
  p90_ms: string | null;
};

/** Patterns that people merged into this one, by JSON that anybody may have written. */
function mergedOf(context: unknown): { id: string; intent: string }[] {
  const { merged } = objectOf(context);
  if (!Array.isArray(merged)) return [];
  return merged.slice(0, mostMerged).flatMap((one: unknown) => {
    const { id, intent } = objectOf(one);
    if (typeof id !== 'string' || !isUuid(id)) return [];
    return [{ id, intent: typeof intent === 'string' ? intent.slice(0, 60) : id }];
  });
}

const mostMerged = 100;

async function lifeLines(
  { read }: DetailAccess,
  { id, context }: RecordRow,
): Promise<SummaryLine[]> {
  const [row] = await read<LifeRow>(lifeStatement, [id]);
  if (!row) return [];
  const from = row.turns === null ? '' : ` from ${counted(readNumber(row.turns), 'turn')}`;
  const since = row.is_learned ? `learned${from}, first written` : 'written';
  return [
    [
      { text: `${since} ${ago(row.known_ms)}` },
      { text: row.used_ms === null ? 'never used' : `used ${ago(row.used_ms)}` },
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
    ...takesLine(row),
    ...mergedLine(mergedOf(context)),
  ];
}

/** As suggest and the MCP server say it: of the good turns that it was learned from. */
function takesLine({ median_ms: median, p90_ms: p90 }: LifeRow): SummaryLine[] {
  const [medianMs, p90Ms] = [readNumber(median), readNumber(p90)];
  if (!Number.isFinite(medianMs)) return [];
  const most = Number.isFinite(p90Ms) ? `, nine of ten at most ${formatDuration(p90Ms)}` : '';
  return [[{ text: `good turns take ${formatDuration(medianMs)} (median)${most}`, tone: 'muted' }]];
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
  const lately = latelyRate({ good: latelyGood, bad: latelyBad });
  return lately === null || good + bad === 0 ? null : good / (good + bad) - lately;
}

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

/** Turns that asked for the same and that are compared: so many of the pattern, and of each other agent. */
const turnsCompared = 2_000;
const turnsOfOthers = 100;

/**
 * The newest turns that asked for the same, by who served them: `offered` by the pattern, not offered but by its agent, by another
 * agent. A pattern's key is `learned:GROUP:AGENT`. OFFSET keeps the planner from reading every decision that the pattern was ever
 * offered by. `$1`: schema, `$2`: its key, `$3`: it and what was merged into it.
 */
const effectStatement = `
WITH others AS (
  SELECT key FROM trace_console.learned_items
  WHERE target_schema = $1 AND kind = 'pattern' AND key LIKE 'learned:%' AND starts_with(key, substring($2 FROM '^learned:[^:]*:'))
    AND key <> $2
  ORDER BY key LIMIT 49
), turns AS (
  (SELECT * FROM trace_console.learned_traces WHERE target_schema = $1 AND pattern_key = $2
   ORDER BY ended_at DESC LIMIT ${turnsCompared})
  UNION ALL
  SELECT l.* FROM others CROSS JOIN LATERAL (
    SELECT * FROM trace_console.learned_traces WHERE target_schema = $1 AND pattern_key = others.key
    ORDER BY ended_at DESC LIMIT ${turnsOfOthers}) AS l
)
SELECT CASE WHEN offer.is_offered THEN 'offered' WHEN turns.pattern_key = $2 THEN 'agent' ELSE 'others' END AS served,
  count(*)::int AS turns, count(*) FILTER (WHERE turns.is_good)::int AS good,
  (percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', turns.ended_at - turns.started_at) * 1000))::float8 AS median_ms
FROM turns CROSS JOIN LATERAL (SELECT EXISTS (
  SELECT FROM execution_traces AS t JOIN agent_routing_decisions AS d ON d.trace_id = t.id
  WHERE t.correlation_id = turns.correlation_id AND d.pattern_id = ANY ($3::uuid[]) OFFSET 0) AS is_offered) AS offer
GROUP BY 1`;

type Served = 'offered' | 'agent' | 'others';
type EffectRow = { served: Served; turns: number; good: number; median_ms: number | null };
/** In the order in which they are shown. */
const servedNames: Readonly<Record<Served, string>> = {
  offered: 'offered',
  agent: 'not offered',
  others: 'other agents',
};

async function effectLines(
  { read, shape }: DetailAccess,
  { id, pattern_hash: hash, context }: RecordRow,
): Promise<SummaryLine[]> {
  // A decision keeps the pattern that it was made by, also when that was merged into another one.
  const ids = [id, ...mergedOf(context).map((one) => one.id)];
  const rows = await read<EffectRow>(effectStatement, [shape.schema, hash, ids]);
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
  const own = (has('offered')?.turns ?? 0) + (has('agent')?.turns ?? 0);
  const notes = [
    effectNote(rows),
    ...(own < turnsCompared
      ? []
      : [`Its newest ${formatCount(turnsCompared)} turns are compared.`]),
    ...(has('others') ? [othersNote] : []),
  ];
  return [...lines, ...notes.map((text) => [{ text, tone: 'muted' as const }])];
}

const othersNote = `Other agents: turns that asked for the same; of each the newest ${turnsOfOthers}.`;

function effectNote(rows: readonly EffectRow[]): string {
  const isOffered = rows.some(({ served }) => served === 'offered');
  if (!isOffered) return 'No router offered it in these turns.';
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

/** Both kinds are in the counters of the pattern: a turn that was learned from, and a use that a router or a person logged. */
async function usageLines(
  { read, shape }: DetailAccess,
  { id, pattern_hash: hash, total_usage_count: total }: RecordRow,
): Promise<SummaryLine[]> {
  const logged = await read<UsageRow>(loggedStatement, [id, days]);
  const isLearned = typeof hash === 'string' && hash.startsWith('learned:');
  const ledger = isLearned && (await mayReadLedger(read));
  const learned = ledger ? await read<UsageRow>(learnedStatement, [shape.schema, days, hash]) : [];
  const rows = [...logged, ...learned];
  const ever = typeof total === 'number' ? countedShort(total, 'use') : 'its uses';
  const hidden: SummaryLine[] =
    isLearned && !ledger
      ? [
          [
            {
              text: `logged ones only: ${ever} in all; this role may not read which turns were learned from`,
              tone: 'warning',
            },
          ],
        ]
      : [];
  if (rows.length === 0) {
    const before = typeof total === 'number' && total > 0 && hidden.length === 0;
    return [[{ text: before ? `none; ${ever} in all` : 'none', tone: 'muted' }], ...hidden];
  }
  const perDay = Array.from({ length: days }, (_, day) =>
    sumOf(rows.filter((row) => row.days_ago === days - 1 - day)),
  );
  const of = (outcome: string) => sumOf(rows.filter((row) => row.outcome === outcome));
  const lastMs = Math.min(...rows.map(({ last_ms: ms }) => ms));
  return [
    [{ text: sparkline(perDay), tone: 'accent' }, { text: 'a day, today at the right' }],
    [
      { text: `${countedShort(sumOf(rows), 'use')}, the last ${ago(lastMs)}` },
      { text: `${formatCount(of('success'))} succeeded`, tone: 'success' },
      {
        text: `${formatCount(of('failure'))} failed`,
        ...(of('failure') > 0 ? { tone: 'error' } : {}),
      },
      { text: `${formatCount(of('partial') + of('skipped'))} partial or skipped`, tone: 'muted' },
    ],
    [
      {
        text: `${countedShort(sumOf(logged), 'use')} logged, ${countedShort(sumOf(learned), 'turn')} learned from besides`,
        tone: 'muted',
      },
    ],
    ...hidden,
  ];
}

async function mayReadLedger(read: DetailAccess['read']): Promise<boolean> {
  const [known] = await read<{ known: boolean }>(
    `SELECT count(*) = 1 AS known FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = 'learned_traces'
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`,
    [],
  );
  return known?.known ?? false;
}

function ago(ms: number): string {
  const age = formatAge(ms);
  return age === 'now' ? 'just now' : `${age} ago`;
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
