import { formatAge, formatDuration } from '../../shared/format/duration.js';
import { formatCount, formatShare } from '../../shared/format/number.js';
import { fullRecord } from '../full-record.js';
import type { DetailAccess, Opening, RecordRow } from '../opening.js';
import type { SummaryLine } from '../pane.js';
import { sparkline } from '../sparkline.js';
import { sectionOr, type OpeningLine } from './section.js';

const neighboursShown = 8;
const days = 30;

/** By the pattern's own embedding; the function bounds what is looked at. `$1`: pattern, `$2`: how many. */
const neighboursStatement = `
SELECT n.id, n.intent_classification AS intent, n.similarity, n.success_rate::float8 AS success_rate,
  n.total_usage_count AS uses, n.avg_duration_ms AS avg_ms, left(n.prompt_text, 120) AS prompt
FROM (SELECT prompt_embedding FROM success_patterns WHERE id = $1 AND prompt_embedding IS NOT NULL) AS p
CROSS JOIN LATERAL find_similar_patterns(p.prompt_embedding, -1, $2 + 1) AS n
WHERE n.id <> $1
ORDER BY n.similarity DESC
LIMIT $2`;

type NeighbourRow = {
  id: string;
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
          { title: 'Hook sequence', lines: [[{ text: sequenceText(row.hook_sequence) }]] },
          await sectionOr(`Uses in ${days} days`, () => usageLines(access, id)),
          await sectionOr('Nearest patterns by embedding', () => neighbourLines(access, id)),
        ],
      };
    },
  };
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
      { text: `${formatCount(sumOf(rows))} uses, the last ${formatAge(lastMs)} ago` },
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

async function neighbourLines({ read }: DetailAccess, id: string): Promise<OpeningLine[]> {
  const rows = await read<NeighbourRow>(neighboursStatement, [id, neighboursShown]);
  if (rows.length === 0)
    return [{ line: [{ text: 'none: it has no embedding, or is alone', tone: 'muted' }] }];
  return rows.map((row) => ({
    line: [
      { text: row.similarity.toFixed(3), tone: 'accent' },
      { text: row.intent ?? '', columns: 24 },
      { text: `${formatShare(row.success_rate)} of ${formatCount(row.uses)} uses`.padEnd(20) },
      { text: formatDuration(row.avg_ms).padStart(6) },
      { text: row.prompt ?? '', tone: 'muted' },
    ],
    opening: patternOpening(`Pattern ${row.intent ?? row.id}`, row.id),
  }));
}
