import { chooseLonger } from '../contract/pane.js';
import {
  ageColumn,
  durationColumn,
  shareColumn,
  textColumn,
  type Column,
} from '../contract/column.js';
import { withUnits, type FilterField } from '../contract/filter.js';
import { firstPage, pagedList, readPage, windowText } from '../contract/listing.js';
import { formatSpan } from '../../core/format/time.js';
import { counted, formatCount } from '../../core/format/number.js';
import {
  erasedList,
  type ListRequest,
  type Opening,
  type DetailAccess,
} from '../contract/opening.js';
import { statusTone } from './event.js';
import { nearestIdHint, unknownNames } from '../reading/names.js';
import { defaultStuckAfterMs } from '../reading/windows.js';
import { mostTagsSearched, tracesFrom } from './timeline.js';
import { traceOpening } from './trace-opening.js';
import {
  isByLikeness,
  mostPromptsSearched,
  tracesQuery,
  type ListedTraceRow,
  type TracesOf,
} from './traces-query.js';
import { tracesTables } from '../../core/tables.js';
import { isUuid } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';

export const traceColumns: readonly Column<ListedTraceRow>[] = [
  {
    id: 'started',
    title: 'started',
    align: 'left',
    format: 'timestamp',
    value: (row) => row.started_at,
    tone: () => 'muted',
    priority: 5,
    minWidth: 19,
    maxWidth: 19,
  },
  ageColumn({
    id: 'age',
    title: 'ago',
    value: (row) => row.started_at,
    priority: 1,
  }),
  textColumn({
    id: 'status',
    title: 'status',
    value: ({ status }) => status,
    tone: ({ status }) => statusTone(status),
    priority: 1,
    minWidth: 11,
    maxWidth: 11,
  }),
  durationColumn({
    id: 'durationMs',
    title: 'took',
    value: (row) => row.duration_ms,
    priority: 2,
  }),
  textColumn({
    id: 'source',
    title: 'source',
    value: ({ source }) => source,
    tone: () => 'accent',
    priority: 3,
    minWidth: 11,
    maxWidth: 18,
  }),
  textColumn({
    id: 'project',
    title: 'project',
    value: ({ project }) => project,
    tone: () => 'muted',
    priority: 6,
    minWidth: 10,
    maxWidth: 20,
  }),
  textColumn({
    id: 'error',
    title: 'error',
    value: ({ error_type: type, error_message: message }) =>
      [type, message].filter((part) => part !== null).join(': '),
    tone: () => 'error',
    priority: 2,
    minWidth: 15,
  }),
  textColumn({
    id: 'prompt',
    title: 'prompt',
    value: ({ prompt }) => prompt,
    tone: () => 'muted',
    priority: 1,
    minWidth: 15,
  }),
  textColumn({
    id: 'correlationId',
    title: 'correlation id',
    value: (row) => row.correlation_id,
    tone: () => 'muted',
    priority: 7,
    minWidth: 36,
    maxWidth: 36,
  }),
];

export const alikeColumn: Column<ListedTraceRow> = shareColumn({
  id: 'alike',
  title: 'alike',
  value: ({ alike }) => alike ?? null,
  tone: () => 'accent',
  priority: 1,
});

/** A list of traces; Enter on one opens its tree. */
export function tracesOpening(
  title: string,
  of: TracesOf,
  wanted: Partial<Pick<ListRequest, 'filter' | 'failedOnly'>> = {},
): Opening {
  return {
    title,
    async read(access) {
      const { shape, windowMs, untilMs } = access;
      const query = tracesQuery(shape, of);
      const { list = firstRequest(wanted, query.fields) } = access;
      const page = await readPage(access, query, list);
      const { paging, summary } = pagedList(query, list, page, placeOf(of, windowMs, untilMs));
      const unknown = page.rows.length > 0 ? [] : await unknownNames(access, { ...list, ...query });
      const end = isOfWindow(of) ? untilMs : undefined;
      return erasedList<ListedTraceRow>({
        kind: 'list',
        title,
        columns: isByLikeness(of) ? [alikeColumn, ...traceColumns] : traceColumns,
        rows: page.rows,
        rowKey: ({ id }) => id,
        paging: { ...paging, whyNot: whyNotOf(of) },
        summary: [...summary, ...unknown.map((text) => ({ text, tone: 'warning' as const }))],
        empty: page.rows.length > 0 ? '' : await emptyOf(access, of, list),
        asOf: new Date(end ?? page.nowMs ?? Date.now()),
        open: ({ id }) => traceOpening(id),
        copy: (row) => row.correlation_id ?? row.id,
        id: of.by,
      });
    },
  };
}

/** Exactly the traces that are counted as stuck, whenever they started. */
export const stuckTracesOpening: Opening = tracesOpening('Stuck traces', {
  by: 'stuck',
  stuckAfterMs: defaultStuckAfterMs,
});

/** So many traces that begin alike are looked up. */
const mostAlikeIds = 1_000;

/** The trace, live or archived, one of whose ids begins with these hexadecimal digits; a list where there are several. */
export function traceOfPrefixOpening(digits: string): Opening {
  const title = `Traces ${digits}…`;
  return {
    title,
    async read(access) {
      const found = await tracesFrom(access, digits, mostAlikeIds);
      const [only, second] = found;
      if (only && !second) return traceOpening(only.id).read(access);
      const ids = found.filter(({ archived }) => !archived).map(({ id }) => id);
      const opened = await tracesOpening(title, { by: 'ids', ids }).read(access);
      const archived = found.length - ids.length;
      if (opened.kind !== 'list') return opened;
      if (archived === 0) {
        const meant = ids.length > 0 ? '' : await nearestIdHint(access, 'trace', digits);
        return { ...opened, empty: `${meant}${noneBeginsSo}` };
      }
      const more = `${ids.length === 0 ? '' : '+ '}${counted(archived, 'archived trace')}: give more of the id`;
      const summary = [...opened.summary, { text: more, tone: 'warning' as const }];
      return { ...opened, summary, empty: more };
    },
  };
}

function firstRequest(
  wanted: Partial<Pick<ListRequest, 'filter' | 'failedOnly'>>,
  fields: readonly FilterField[],
): ListRequest {
  return { ...firstPage, ...wanted, filter: withUnits(wanted.filter ?? '', fields) };
}

function whyNotOf(of: TracesOf): { window?: string; failed?: string } {
  return {
    ...(isOfWindow(of) ? {} : { window: 'These traces are listed whatever the window is' }),
    ...(of.by === 'stuck' ? { failed: 'Stuck traces have not ended: none of them failed' } : {}),
  };
}

/** Whether only traces of the window are listed; the others may be of any time. */
function isOfWindow({ by }: TracesOf): boolean {
  return by !== 'session' && by !== 'ids' && by !== 'stuck' && by !== 'nearest';
}

/** The time that was searched, in words. */
function placeOf(of: TracesOf, windowMs: number, untilMs: number | undefined): string {
  const span = windowText(windowMs, untilMs);
  switch (of.by) {
    case 'session':
      return 'of the session';
    case 'stuck':
      return `in progress for over ${formatSpan(of.stuckAfterMs)}`;
    case 'ids':
      return 'that begin so';
    case 'nearest':
      return 'of all time';
    case 'words':
    case 'prompt':
      return `among the newest ${formatCount(mostPromptsSearched)} prompts at most ${span}`;
    default:
      return span;
  }
}

/** What is said of a list without rows; of an id that no trace has, with the nearest that one has. */
async function emptyOf(
  access: DetailAccess,
  of: TracesOf,
  { filter, failedOnly }: ListRequest,
): Promise<string> {
  const meant = (digits: string) =>
    filter === '' && !failedOnly ? nearestIdHint(access, 'session', digits) : '';
  switch (of.by) {
    case 'session':
      return `${await meant(of.digits)}There is no trace of this session here; it may have been archived.`;
    case 'stuck':
      return 'No trace is stuck.';
    default:
      return `There is none in this window. ${chooseLonger}`;
  }
}

const beginning = /^[0-9a-f]{4,32}$/;
const mostNamed = 4;

/** Senders' ids are in no index by their beginning. */
const noneBeginsSo = `No correlation id begins so, and no OpenTelemetry trace id among the newest ${formatCount(mostTagsSearched)} traces; a whole one finds any.`;

/**
 * The correlation id of the trace, live or archived, one of whose ids begins with these digits, as it is read off a screen; whatever
 * is no beginning of an id comes back as it is, and so does a whole id that nobody has.
 *
 * @throws ConsoleError `not_found` when none begins so, `usage` when several do
 */
export async function wholeTraceId(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  text: string,
): Promise<string> {
  const digits = text.replaceAll('-', '').toLowerCase();
  if (!beginning.test(digits)) return text;
  const found = await tracesFrom(access, digits, mostNamed + 1);
  const [first, second] = found;
  const isWhole = digits.length === 32;
  if (first && (isWhole || !second)) return first.correlation_id ?? first.id;
  if (isWhole) return text;
  if (!first) {
    throw new ConsoleError('not_found', `No trace has an id that begins with ${text}.`, {
      hint: `${await nearestIdHint(access, 'trace', text)}${noneBeginsSo}`,
    });
  }
  const named = found.slice(0, mostNamed).map(({ correlation_id, id }) => correlation_id ?? id);
  throw new ConsoleError('usage', `Several traces have an id that begins with ${text}.`, {
    hint: `Give more of it: ${named.join(', ')}${found.length > mostNamed ? ', …' : ''}`,
  });
}

/** The root of a tree: its id, and that of its session. */
export type Root = { id: string; session: string };

/**
 * The roots of the trees that traces with these ids, or beginnings of ids, are in.
 *
 * @throws ConsoleError `not_found`, before the first one
 */
export async function* rootsNamed(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  texts: readonly string[],
): AsyncGenerator<Root> {
  const ids: string[] = [];
  for (const text of texts) {
    const id = await wholeTraceId(access, text);
    if (!isUuid(id)) throw new ConsoleError('usage', `"${text}" is no id of a trace.`);
    ids.push(id);
  }
  const tables = tracesTables((table) => access.shape.relations.has(table)).map(
    (table) =>
      `SELECT correlation_id, root_id, session_id FROM ${quoteIdent(table)} WHERE correlation_id = $1::uuid`,
  );
  const roots: Root[] = [];
  for (const id of ids) {
    const [trace] = await access.read<Root>(
      `SELECT root_id::text AS id, session_id::text AS session FROM (${tables.join(' UNION ALL ')}) AS found LIMIT 1`,
      [id],
    );
    if (!trace) throw new ConsoleError('not_found', `There is no trace ${id}.`);
    roots.push(trace);
  }
  yield* roots;
}

/** `session`: the digits that its id begins with. */
type Chosen = { sinceMs: number; project: string | undefined; session: string | undefined };

const rootsAtOnce = 500;

/** The roots of the chosen trees, in the order in which they began. */
export async function* rootsOf(
  { read }: Pick<DetailAccess, 'read'>,
  { sinceMs, project, session }: Chosen,
): AsyncGenerator<Root> {
  let last: { started: string; row: string } | undefined;
  for (;;) {
    const rows = await read<Root & { row: string; started: string }>(
      `SELECT correlation_id::text AS id, id::text AS row, session_id::text AS session, started_at::text AS started
       FROM execution_traces
       WHERE parent_id IS NULL AND started_at >= now() - $1::float8 * interval '1 ms'
         AND ($2::text IS NULL OR project = $2) AND ($3::uuid IS NULL OR session_id BETWEEN $3 AND $4::uuid)
         AND ($5::timestamptz IS NULL OR (started_at, id) > ($5, $6::uuid))
       ORDER BY started_at, id LIMIT $7`,
      [
        ...[sinceMs, project ?? null],
        ...[session?.padEnd(32, '0') ?? null, session?.padEnd(32, 'f') ?? null],
        ...[last?.started ?? null, last?.row ?? null, rootsAtOnce],
      ],
    );
    yield* rows;
    last = rows.at(-1);
    if (rows.length < rootsAtOnce) return;
  }
}
