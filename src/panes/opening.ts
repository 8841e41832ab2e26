import type { DetailSection } from './details/section.js';
import type { Column, SummaryLine } from './pane.js';
import type { SchemaShape } from './shape.js';
import type { TraceTree } from './trace/tree.js';

/** Rows of a table as the server gave them: column name to value. */
export type RecordRow = Readonly<Record<string, unknown>>;

/** What a detail may ask the database with: one read-only transaction a statement, under time-outs. */
export type DetailAccess = {
  shape: SchemaShape;
  windowMs: number;
  /** Where the window ends, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
  /** @throws ConsoleError */
  read: <Row extends object>(text: string, values: readonly unknown[]) => Promise<Row[]>;
};

/** Something that Enter opens over the panes. Read when it is opened, and again to refresh it. */
export type Opening = {
  /** Until it is read. */
  title: string;
  /** @throws ConsoleError */
  read(access: DetailAccess): Promise<Opened>;
};

export type Opened = OpenedRecords | OpenedList | OpenedTrace;

/** Rows with all their columns. */
export type OpenedRecords = {
  kind: 'records';
  title: string;
  rows: readonly RecordRow[];
  /** Above the rows. */
  sections?: readonly DetailSection[];
};

/** Rows one a line; Enter on one opens it. */
export type OpenedList<Row extends object = object> = {
  kind: 'list';
  title: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey(row: Row): string;
  summary: SummaryLine;
  /** What is said when there are no rows. */
  empty: string;
  /** The server's clock when it answered, for ages. */
  asOf: Date;
  open?(row: Row): Opening | undefined;
  /** What `y` copies of a row. */
  copy?(row: Row): string;
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
