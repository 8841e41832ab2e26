import type { Capabilities } from '../db/capabilities.js';
import type { Queryable, TransactionOptions } from '../db/database.js';
import type { CellFormat } from './cells.js';
import type { Opening } from './opening.js';
import type { Needs, SchemaShape } from './shape.js';

/** The panes of the overview, until the reader chooses others. */
export const overviewPaneIds = [
  'recent-traces',
  'slow-hooks',
  'index-usage',
  'table-sizes',
  'top-patterns',
  'activity',
] as const;

/** The panes beside it, which take the whole screen. Another one is a line here. */
export const furtherPaneIds = [
  'agents',
  'errors',
  'endpoints',
  'sessions',
  'agent-chains',
  'maintenance-runs',
  'archive',
  'doctor',
] as const;

/** Every pane in its order; the first nine have the keys 1 to 9. */
export const paneIds = [...overviewPaneIds, ...furtherPaneIds] as const;

export type PaneId = (typeof paneIds)[number];

/** What a colour means; the theme decides which colour that is. */
export type Tone = 'success' | 'running' | 'warning' | 'error' | 'muted' | 'accent';

/** What colours and ages are relative to: the server's clock at the moment of the reading. */
export type CellContext = { nowMs: number };

export type CellValue = string | number | boolean | Date | null;

export type Column<Row> = {
  /** The key in the JSON row and of `--sort`. */
  id: string;
  /** Short, as it stands in the heading. */
  title: string;
  align: 'left' | 'right';
  format: CellFormat;
  value(row: Row): CellValue;
  tone?(row: Row, context: CellContext): Tone | undefined;
  /** 1 is always shown; the highest numbers go first when the pane is narrow. */
  priority: number;
  minWidth: number;
  /** Absent: the column takes what room is left. */
  maxWidth?: number;
};

export type Sort<Row> = {
  id: string;
  title: string;
  /** `desc`: the largest first. NULL comes last either way. */
  direction: 'asc' | 'desc';
  value(row: Row): CellValue;
};

/** Text in pieces, each with its meaning, for the lines above a pane's rows. */
export type SummarySegment = {
  text: string;
  tone?: Tone;
  /** In a section of a row in full: cut or filled to so many, so that lines align. */
  columns?: number;
};
export type SummaryLine = readonly SummarySegment[];

/** Curves over time, oldest first, one value a bucket. */
export type Chart = {
  title: string;
  bucketMs: number;
  /** It ends at a moment in the past. */
  isPast?: boolean;
  curves: readonly { label: string; tone: Tone; values: readonly number[] }[];
};

/** The simplest of what Enter on a row opens: a statement whose rows are shown with all their columns. */
export type DetailQuery = { title: string; text: string; values: readonly unknown[] };

export type PaneResult<Row, Extras> = {
  rows: readonly Row[];
  extras: Extras;
  /** Of which moment the rows are: the server's clock when it answered, or the chosen one in the past. */
  asOf: Date;
  /** What the reader should know about these rows: missing columns, locked tables, a row limit. */
  notes: readonly string[];
  /** Set while closed time slices are still being fetched: which share of the window is there. */
  loading?: { share: number };
};

export type ReadRequest = {
  shape: SchemaShape;
  capabilities: Capabilities;
  /** Runs in one read-only transaction under the pane's time-outs. */
  transaction<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result>;
  windowMs: number;
  /**
   * Where the window ends: a moment in the past, milliseconds since 1970 by the server's clock. Absent: now.
   * Given only to panes that look back. A reader is asked for one kind only: now, or moments in the past.
   */
  untilMs?: number | undefined;
  /** A trace in progress for longer than this counts as stuck. */
  stuckAfterMs: number;
  /** Whole and exact figures whatever they cost, instead of what was kept from earlier readings. */
  exact: boolean;
};

/** Reads a pane again and again; it may keep what need not be asked twice. One a console. */
export interface PaneReader<Row, Extras> {
  /** @throws ConsoleError */
  read(request: ReadRequest): Promise<PaneResult<Row, Extras>>;
  /** Forgets what may be untrue after a reconnect to a server that may be another. */
  reset?(): void;
}

/**
 * One question to the database, with all that is needed to ask it and to draw the answer: in the
 * console, as a plain table, as JSON.
 */
export type Pane<Row extends object = object, Extras extends object = object> = {
  id: PaneId;
  /** At most 14 columns: titles stand in a column where panes are lines. */
  title: string;
  /** The question it answers, for help. */
  question: string;
  needs: Needs;
  /** Its rows depend on the chosen window. */
  windowed: boolean;
  /** It can show a chosen moment in the past; default: as `windowed`. */
  looksBack?: boolean;
  /** Never asked more often than this, whatever the chosen cadence: what changes slowly. */
  minIntervalMs: number;
  limits: PaneLimits;
  columns: readonly Column<Row>[];
  /** What can be filtered by and has no column. */
  fields?: readonly Pick<Column<Row>, 'id' | 'title' | 'format' | 'value'>[];
  /** The first is the order in which rows arrive. */
  sorts: readonly [Sort<Row>, ...Sort<Row>[]];
  rowKey(row: Row): string;
  /** What names a row elsewhere, for the clipboard; default: its first column. */
  idOf?(row: Row): string;
  /** How to get data, when there are no rows. */
  empty: string;
  createReader(): PaneReader<Row, Extras>;
  summary?(result: PaneResult<Row, Extras>, context: CellContext): readonly SummaryLine[];
  chart?(result: PaneResult<Row, Extras>): Chart;
  /** What Enter on a row opens. */
  detail?(row: Row, shape: SchemaShape, windowMs: number): DetailQuery | Opening;
};

export function looksBack({ windowed, looksBack: can = windowed }: AnyPane): boolean {
  return can;
}

/** A pane whose row type is known only to itself: its rows are only ever handed back to it. */
export type AnyPane = Pane;
export type AnyPaneResult = PaneResult<object, object>;

export type PaneLimits = Required<
  Pick<TransactionOptions, 'statementTimeoutMs' | 'lockTimeoutMs' | 'settings'>
>;

/**
 * Time-outs patient enough for a large window, short enough that a blocked pane says so soon. A guest
 * keeps to one core: parallel workers would take others, and compiling costs more than these statements.
 * 16 MB hold the histograms of a first reading, which would go to disk by way of temporary files.
 */
export const usualLimits: PaneLimits = {
  statementTimeoutMs: 5_000,
  lockTimeoutMs: 1_000,
  settings: { max_parallel_workers_per_gather: '0', jit: 'off', work_mem: '16MB' },
};
