import { secondsBetween } from '../../db/quote.js';
import { sortRows, type CellFormat, type SummaryLine, type SummarySegment } from './column.js';
import { parseFilter, readTerms, type FilterField, type FilterTerm } from './filter.js';
import {
  erasedList,
  type DetailAccess,
  type ListPaging,
  type ListRequest,
  type OpenedList,
  type RowPosition,
} from './opening.js';
import { ConsoleError } from '../../db/errors.js';
import { formatCount } from '../../core/format/number.js';
import { formatSpan, formatMoment } from '../../core/format/time.js';

/** Rows of a list that are asked at a time. */
export const rowsAPage = 200;

/** Rows of one reading at most; behind them a list goes on page by page. */
export const mostRowsAtOnce = 2_000;

/** A list counts so many rows at most: counting reads them all. */
export const mostRowsCounted = 100_000;

export const firstPage: ListRequest = { filter: '', failedOnly: false, limit: rowsAPage };

/** What a list can be filtered by. */
export type ListField = FilterField & {
  /** An expression over `listed`. Absent: it is looked for in rows of other tables, by `within`. */
  sql?: string;
  /** Whether a row of another table belongs to the listed one; `holds` makes a condition of an expression. */
  within?(holds: (expression: string) => string): string;
};

export type ListOrder = {
  id: string;
  title: string;
  /** An expression over `listed` that is never NULL. */
  sql: string;
  type: 'timestamptz' | 'float8';
};

/** Rows of one kind, of which a list shows those that are asked for. */
export type ListQuery<Row> = {
  /** Rows with an `id`, without order and limit. `$1` and `$2` are the window. */
  text: string;
  /** From `$3` on. */
  values: readonly unknown[];
  fields: readonly ListField[];
  /** The largest first. */
  orders: readonly [ListOrder, ...ListOrder[]];
  /** Whether a row failed: a condition over `listed`. */
  failed: string;
  rowOf(row: ListedRow): Row;
};

/** As the server gave it. */
export type ListedRow = Readonly<Record<string, unknown>>;

export type ListPage<Row> = {
  rows: readonly Row[];
  /** There are more behind the last of them. */
  hasMore: boolean;
  /** The server's clock when it answered; undefined without rows. */
  nowMs: number | undefined;
  /** Of all pages, up to {@link mostRowsCounted}. Only of the first page. */
  total?: { rows: number; failed: number };
};

const positions = new WeakMap<object, RowPosition>();

/** Where a row that was read stands in the order of its list. */
export function positionOf(row: object): RowPosition | undefined {
  return positions.get(row);
}

type PageRow = ListedRow & { now_ms: number; listed_at: string; id: string };

/**
 * Reads one page of a list, from an index where the order has one. A page begins behind a row, not at a number of rows:
 * what is written meanwhile moves nothing.
 *
 * @throws ConsoleError `usage` for a filter that cannot be read
 */
export async function readPage<Row extends object>(
  { read, windowMs, untilMs }: Pick<DetailAccess, 'read' | 'windowMs' | 'untilMs'>,
  query: ListQuery<Row>,
  request: ListRequest,
): Promise<ListPage<Row>> {
  const order = query.orders.find(({ id }) => id === request.sort) ?? query.orders[0];
  const window = [windowMs / 1000, untilMs === undefined ? null : untilMs / 1000];
  const parameters = new Parameters([...window, ...query.values]);
  const chosen = chosenStatement(query, request, parameters);
  const counted = [...parameters.values];
  const { after, limit } = request;
  const behind = after
    ? `WHERE listed_order <= ${parameters.add(after.at)}::${order.type} AND (listed_order < ${parameters.add(after.at)}::${order.type} OR id > ${parameters.add(after.id)}::uuid)`
    : '';
  const text = `
SELECT date_part('epoch', now()) * 1000 AS now_ms, page.*, listed_order::text AS listed_at
FROM (SELECT listed.*, ${order.sql} AS listed_order FROM ${chosen}) AS page ${behind}
ORDER BY listed_order DESC, id
LIMIT ${parameters.add(limit + 1)}`;
  const found = await read<PageRow>(text, parameters.values);
  const rows = found.slice(0, limit).map((row) => {
    const made = query.rowOf(row);
    positions.set(made, { at: row.listed_at, id: row.id });
    return made;
  });
  const hasMore = found.length > limit;
  return {
    rows,
    hasMore,
    nowMs: found[0]?.now_ms,
    ...(after ? {} : { total: await count(read, query, chosen, counted) }),
  };
}

async function count<Row>(
  read: DetailAccess['read'],
  { failed }: ListQuery<Row>,
  chosen: string,
  values: readonly unknown[],
): Promise<{ rows: number; failed: number }> {
  const [row] = await read<{ rows: number; failed: number }>(
    `SELECT count(*)::int AS rows, (count(*) FILTER (WHERE failed))::int AS failed
FROM (SELECT ${failed} AS failed FROM ${chosen} LIMIT ${mostRowsCounted}) AS counted`,
    values,
  );
  return row ?? { rows: 0, failed: 0 };
}

function chosenStatement<Row>(
  { text, fields, failed }: ListQuery<Row>,
  { filter, failedOnly }: ListRequest,
  parameters: Parameters,
): string {
  const read = readTerms(filter, fields);
  if ('error' in read) throw new ConsoleError('usage', `The filter cannot be read: ${read.error}.`);
  const conditions = read.terms.map((term) => conditionOf(term, fields, parameters));
  if (failedOnly) conditions.push(failed);
  const where = conditions.length > 0 ? ` WHERE ${conditions.join('\n  AND ')}` : '';
  return `(${text}) AS listed${where}`;
}

/** Values of a statement, by their numbers. */
export class Parameters {
  readonly values: unknown[];

  constructor(values: readonly unknown[]) {
    this.values = [...values];
  }

  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** The LIKE pattern for texts that contain this one. */
export function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}

/** A term of a filter as a condition that is never NULL. */
function conditionOf(
  { isNot, field, operator, text, limit }: FilterTerm<ListField>,
  fields: readonly ListField[],
  parameters: Parameters,
): string {
  const not = isNot ? 'NOT ' : '';
  if (field && limit !== undefined && field.sql !== undefined) {
    const value = `${parameters.add(limit)}::float8`;
    const isTime = field.format === 'age' || field.format === 'timestamp';
    const age = `1000 * ${secondsBetween(field.sql, 'COALESCE(to_timestamp($2::float8), now())')}`;
    return `${not}COALESCE(${isTime ? age : field.sql} ${operator} ${value}, false)`;
  }
  const wanted =
    operator === '='
      ? `lower(${parameters.add(text)}::text)`
      : `${parameters.add(likePattern(text))}::text`;
  const holds = (expression: string) =>
    operator === '='
      ? `lower((${expression})::text) = ${wanted}`
      : `(${expression})::text ILIKE ${wanted}`;
  if (field?.within) return `${not}${field.within(holds)}`;
  const searched = field ? [field] : fields.filter(({ format }) => format === 'text');
  const texts = searched.flatMap(({ sql }) => (sql === undefined ? [] : [holds(sql)]));
  return `${not}COALESCE(${texts.join(' OR ') || 'false'}, false)`;
}

/** What a list says of its page: how it was asked for, and how much there is. */
export function pagedList<Row>(
  { fields, orders }: ListQuery<Row>,
  request: ListRequest,
  { hasMore, total }: ListPage<Row>,
  place: string,
): { paging: ListPaging; summary: SummaryLine } {
  const { failedOnly } = request;
  return {
    paging: {
      request,
      hasMore,
      total: total && total.rows < mostRowsCounted ? total.rows : undefined,
      fields,
      orders,
    },
    summary: total ? listSummary(total, { place, failedOnly }) : [],
  };
}

export type MemoryList<Row extends object> = Omit<OpenedList<Row>, 'kind' | 'paging'> & {
  /** What comes first, in a word; default: newest. */
  order?: string;
};

/** A list of rows that the console has, filtered and sorted as others are. */
export function memoryList<Row extends object>(
  list: MemoryList<Row>,
  request: ListRequest = firstPage,
): OpenedList {
  const { columns, asOf } = list;
  const erased = erasedList<Row>({
    ...list,
    kind: 'list',
    paging: {
      request,
      isInMemory: true,
      hasMore: false,
      fields: columns.map(({ id, title, format }) => ({ id, title, format })),
      orders: [
        { id: 'read', title: list.order ?? 'newest' },
        ...(columns.some(isDuration) ? [{ id: 'took', title: 'slowest' }] : []),
      ],
    },
  });
  const parsed = parseFilter(request.filter, { columns: erased.columns });
  const filter = 'filter' in parsed ? parsed.filter : undefined;
  const context = { nowMs: asOf.getTime() };
  const passed = filter ? erased.rows.filter((row) => filter.matches(row, context)) : erased.rows;
  const column = request.sort === 'took' ? erased.columns.find(isDuration) : undefined;
  const slowest = { id: 'took', title: 'slowest', direction: 'desc' as const };
  const sorted = column
    ? sortRows(passed, { ...slowest, value: (row) => column.value(row) })
    : passed;
  return { ...erased, rows: sorted };
}

const isDuration = ({ format }: { format: CellFormat }) => format === 'duration';

/** How many there are, how many of them failed, and where was looked. */
function listSummary(
  total: { rows: number; failed: number },
  { place, failedOnly }: { place: string; failedOnly: boolean },
): SummaryLine {
  const { rows, failed } = total;
  const more = rows >= mostRowsCounted ? 'over ' : '';
  const first: SummarySegment = {
    text: `${more}${formatCount(rows)}${failedOnly ? ' failed' : ''} ${place}`.trim(),
  };
  if (failedOnly || failed === 0) return [first];
  return [first, { text: `${more}${formatCount(failed)} failed`, tone: 'error' }];
}

/** The window in words: `in 1h before 2026-11-24 14:05:00`. */
export function windowText(windowMs: number, untilMs: number | undefined): string {
  const end = untilMs === undefined ? '' : ` before ${formatMoment(new Date(untilMs))}`;
  return `in ${formatSpan(windowMs)}${end}`;
}
