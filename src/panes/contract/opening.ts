import type { FilterField } from './filter.js';
import type { Column, SummaryLine } from './column.js';
import type { SchemaShape } from './shape.js';
import type { TraceTree } from '../trace/tree.js';
import { ConsoleError } from '../../db/errors.js';

/** Rows of a table as the server gave them: column name to value. */
export type RecordRow = Readonly<Record<string, unknown>>;

/** What a detail may ask the database with: one read-only transaction a statement, under time-outs. */
export type DetailAccess = {
  shape: SchemaShape;
  windowMs: number;
  /** Where the window ends, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
  /** Which rows of a list; absent: its first page. */
  list?: ListRequest | undefined;
  /** Of a trace: how many of its events at most; absent: the first. */
  events?: number | undefined;
  /**
   * @param settings of the server, for this statement
   * @throws ConsoleError
   */
  read: <Row extends object>(
    text: string,
    values: readonly unknown[],
    settings?: Readonly<Record<string, string>>,
  ) => Promise<Row[]>;
};

/** Where a row stands in the order of its list; the next page begins behind it. */
export type RowPosition = { at: string; id: string };

/** Which rows of a list are asked for. */
export type ListRequest = {
  /** As it is typed: {@link readTerms}. */
  filter: string;
  /** Only rows that failed. */
  failedOnly: boolean;
  /** Of a declared sort; default: the first. */
  sort?: string | undefined;
  limit: number;
  /** Absent: from the beginning. */
  after?: RowPosition | undefined;
};

/** How the rows of a list were asked for, and what else can be asked of it. */
export type ListPaging = {
  request: ListRequest;
  /** The console has all of its rows: nothing is asked of the server. */
  isInMemory?: true;
  /** There are more behind the last row. */
  hasMore: boolean;
  /** Of all pages; absent: known from the first page. */
  total?: number | undefined;
  /** What its rows can be filtered by. */
  fields: readonly FilterField[];
  /** Why its rows have no window or no failures to choose. */
  whyNot?: { window?: string; failed?: string };
  /** The first is the order in which the rows are opened. */
  orders: readonly { id: string; title: string }[];
};

/** Something that Enter opens over the panes. Read when it is opened, and again to refresh it. */
export type Opening = {
  /** Until it is read. */
  title: string;
  /** @throws ConsoleError */
  read(access: DetailAccess): Promise<Opened>;
  /** Instead of reading, Enter goes to these rows of a pane. */
  leadsTo?: PaneRows;
};

/** Rows of a pane: those that match a filter ('' for all), with the cursor on the one of a key. */
export type PaneRows = { pane: string; filter: string; key: string };

export type Opened = OpenedRecords | OpenedList | OpenedTrace;

/** Rows with all their columns. */
export type OpenedRecords = {
  kind: 'records';
  title: string;
  rows: readonly RecordRow[];
  /** Above the rows. */
  sections?: readonly DetailSection[];
  /** It goes on: while it is focused it is read again as often as the panes are. */
  isLive?: boolean;
};

/** Rows one a line; Enter on one opens it. */
export type OpenedList<Row extends object = object> = {
  kind: 'list';
  title: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey(row: Row): string;
  paging: ListPaging;
  summary: SummaryLine;
  /** What is said when there are no rows. */
  empty: string;
  /** The server's clock when it answered, for ages. */
  asOf: Date;
  open?(row: Row): Opening | undefined;
  /** What `y` copies of a row. */
  copy?(row: Row): string;
  /** What is written of a row to a file; default: all of it. */
  exported?(row: Row): object;
  /** The name by which an action recognises a list that has exactly the rows it is done to, whichever the cursor is on. */
  id?: string | undefined;
};

/** A trace's whole tree on one time axis. */
export type OpenedTrace = {
  kind: 'trace';
  title: string;
  tree: TraceTree;
  /** The event that the reader came from. */
  select: string | undefined;
  /** What Enter on an event opens. */
  open(key: string): Opening | undefined;
};

/** A list whose row type is known only to itself: its rows are only ever handed back to it. */
export function erasedList<Row extends object>(list: OpenedList<Row>): OpenedList {
  return list;
}

/** A section that is computed from a row's values, shown above them. */
export type DetailSection = {
  title: string;
  lines: readonly SummaryLine[];
  /** What Enter on a line opens. */
  open?(line: number): Opening | undefined;
  /** What a line is about: by it the cursor finds it in a later reading. Default: its place. */
  keyOf?(line: number): string | undefined;
};

/** A line, what Enter on it opens, and what it is about. */
export type OpeningLine = { line: SummaryLine; opening?: Opening | undefined; key?: string };

/** A share of a whole as a bar of 20 signs, with its name and its figure. */
export function barLine(name: string, share: number, tone: 'accent' | 'muted'): SummaryLine {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
  return [
    { text: name, columns: nameWidth },
    { text: '█'.repeat(full) + '░'.repeat(barWidth - full), tone },
    { text: `${Math.round(share * 100)}%`.padStart(4) },
  ];
}

const barWidth = 20;
const nameWidth = 28;

/** A section that may fail by itself: the others are shown all the same. */
export async function sectionOr(
  title: string,
  read: () => Promise<readonly (SummaryLine | OpeningLine)[]>,
): Promise<DetailSection> {
  try {
    const lines = (await read()).map((line): OpeningLine => ('line' in line ? line : { line }));
    return {
      title,
      lines: lines.map(({ line }) => line),
      open: (at) => lines[at]?.opening,
      keyOf: (at) => lines[at]?.key,
    };
  } catch (error) {
    const reason = error instanceof ConsoleError ? error.message : String(error);
    return { title, lines: [[{ text: reason, tone: 'warning' }]] };
  }
}
