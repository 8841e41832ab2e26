import { objectOf } from '../../core/values.js';
import { boundedText, quoteIdent } from '../../db/quote.js';
import { formatAge } from '../../core/format/time.js';
import type { SummaryLine } from '../contract/column.js';
import {
  type DetailAccess,
  type Opening,
  type RecordRow,
  barLine,
  type DetailSection,
  sectionOr,
} from '../contract/opening.js';
import { type DetailQuery, namedCommands } from '../contract/pane.js';
import type { SchemaShape } from '../contract/shape.js';

/** Embeddings are left out: nobody reads 1536 numbers. */
const embeddings = new Set(['query_embedding', 'prompt_embedding']);

/** One row with every column that its table has here, texts and JSON in full. */
export function fullRecord(
  title: string,
  table: string,
  id: string,
  shape: SchemaShape,
): DetailQuery {
  const columns = [...(shape.relations.get(table)?.columns ?? [])]
    .filter((column) => !embeddings.has(column))
    .map((column) => quoteIdent(column));
  return {
    title,
    text: `SELECT ${columns.join(', ')} FROM ${quoteIdent(table)} WHERE id = $1`,
    values: [id],
  };
}

/** As {@link fullRecord}, opened from somewhere else than a pane. */
export function recordOpening(title: string, table: string, id: string): Opening {
  return {
    title,
    async read(access) {
      const { text, values } = fullRecord(title, table, id, access.shape);
      const rows = await access.read<RecordRow>(text, values);
      const [row] = rows;
      const sections =
        row && table.startsWith('agent_routing_decisions')
          ? routingSections(row)
          : row && table.startsWith('execution_traces')
            ? await judgedSections(access, row)
            : [];
      return { kind: 'records', title, rows, sections };
    },
  };
}

/** By the name in the ledger: why a turn counts as good, or as bad, or not at all. */
const judgements: ReadonlyMap<string, string> = new Map(
  Object.entries({
    completed: 'it completed',
    unknown: 'nobody saw its end: it counts for nothing until somebody judges it',
    failed: 'it failed',
    timeout: 'it timed out',
    interrupted: 'it was interrupted',
    reported: 'its writer says that it was no success',
    tests_failed: 'its last test run failed',
    corrected: 'the next prompt corrected it',
    repeated: 'the next prompt asked for the same again',
    feedback: 'a person said so',
  }),
);

/** `$1`: schema, `$2`: correlation id of any trace of the turn. */
const judgedStatement = `
SELECT l.is_good, l.judged_by, f.is_good AS said, left(f.note, 500) AS note, left(f.given_by::text, 100) AS given_by,
  (date_part('epoch', now() - f.given_at) * 1000)::float8 AS said_ms, f.is_learned AS is_counted,
  CASE WHEN l.judged_by IN ('corrected', 'repeated') THEN (
    SELECT ${boundedText('t.prompt_text', 120)} FROM trace_console.learned_traces AS n
    JOIN execution_traces AS t ON t.correlation_id = n.correlation_id
    WHERE n.target_schema = $1 AND n.session_id = l.session_id AND n.ended_at > l.ended_at
    ORDER BY n.ended_at LIMIT 1) END AS next_prompt
FROM (SELECT COALESCE((SELECT root_id FROM execution_traces WHERE correlation_id = $2), $2) AS root) AS one
LEFT JOIN trace_console.learned_traces AS l ON l.target_schema = $1 AND l.correlation_id = one.root
LEFT JOIN trace_console.trace_feedback AS f ON f.target_schema = $1 AND f.correlation_id = one.root`;

type JudgedRow = {
  is_good: boolean | null;
  judged_by: string | null;
  said: boolean | null;
  note: string | null;
  given_by: string | null;
  said_ms: number | null;
  is_counted: boolean | null;
  next_prompt: string | null;
};

/** How learning judged the turn of a trace, and what people said of it; empty: neither is known. */
export async function judgementLines(
  read: DetailAccess['read'],
  schema: string,
  correlationId: unknown,
): Promise<SummaryLine[]> {
  const [known] = await read<{ known: boolean }>(
    `SELECT count(*) = 2 AS known FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname IN ('learned_traces', 'trace_feedback')
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`,
    [],
  );
  if (!known?.known) return [];
  const [row] = await read<JudgedRow>(judgedStatement, [schema, correlationId]);
  if (!row || (row.judged_by === null && row.said === null)) return [];
  return [judgedLine(row), ...saidLine(row), ...countedLine(row)];
}

/** How learning judged a turn, and what people said; nothing where neither is known, and for a trace within a turn. */
async function judgedSections(
  { read, shape }: DetailAccess,
  { correlation_id: id, root_id: root }: RecordRow,
): Promise<DetailSection[]> {
  if (id === undefined || id !== root) return [];
  const section = await sectionOr('How learning judged the turn', () =>
    judgementLines(read, shape.schema, id),
  );
  if (section.lines.length === 0) return [];
  return [{ ...section, lines: [...section.lines, overrules] }];
}

function judgedLine({ judged_by: by, is_good: isGood, next_prompt: next }: JudgedRow): SummaryLine {
  if (by === null) return [{ text: 'not learned from yet', tone: 'muted' }];
  const why = judgements.get(by) ?? by;
  if (by === 'unknown') return [{ text: why, tone: 'muted' }];
  return [
    isGood === true ? { text: 'good:', tone: 'success' } : { text: 'bad:', tone: 'error' },
    { text: why },
    ...(next === null ? [] : [{ text: next, tone: 'muted' as const }]),
  ];
}

/** What a person said counts behind the next learning. */
function countedLine({ said, is_counted: isCounted }: JudgedRow): SummaryLine[] {
  if (said === null || isCounted === true) return [];
  return [[{ text: 'the next trace-console learn counts it so', tone: 'muted' }]];
}

/** Below them in the row in full, where nothing asks for an answer. */
const overrules: SummaryLine = [
  { text: `:${namedCommands.judge} in the trace overrules it`, tone: 'muted', namesCommands: true },
];

function saidLine({ said, said_ms: ms, given_by: who, note }: JudgedRow): SummaryLine[] {
  if (said === null) return [];
  const age = formatAge(ms ?? 0);
  const when = age === 'now' ? 'just now' : `${age} ago`;
  const text = `${who ?? 'somebody'} said ${said ? 'good' : 'bad'} ${when}`;
  return [[{ text }, ...(note === null ? [] : [{ text: note, tone: 'muted' as const }])]];
}

/** How sure a routing decision was and of what that was made; whom it could have chosen instead. */
export function routingSections(row: RecordRow): DetailSection[] {
  const { confidence_score: confidence, agent_selected: agent } = row;
  const parts = entriesOf(row.confidence_breakdown).flatMap(([name, value]) =>
    typeof value === 'number' ? [barLine(name, value, 'muted')] : [],
  );
  const others = listOf(row.alternatives).flatMap((other) => {
    const found = Object.fromEntries(entriesOf(other));
    const name = found.agent ?? found.agent_name ?? found.name;
    const share = found.confidence ?? found.confidence_score ?? found.score;
    if (typeof name !== 'string') return [];
    return [typeof share === 'number' ? barLine(name, share, 'muted') : [{ text: name }]];
  });
  return [
    {
      title: 'Confidence',
      lines: [
        ...(typeof confidence === 'number' ? [barLine(String(agent), confidence, 'accent')] : []),
        ...parts,
      ],
    },
    {
      title: 'Alternatives',
      lines: others.length > 0 ? others : [[{ text: 'none was written down', tone: 'muted' }]],
    },
  ];
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(objectOf(value));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
