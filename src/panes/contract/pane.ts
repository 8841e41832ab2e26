import type { Capabilities } from '../../db/capabilities.js';
import type { CommandTarget } from '../../db/connection/command-flags.js';
import type { Queryable, TransactionOptions } from '../../db/database.js';
import type { RowKind } from '../../maintenance/action.js';
import type { CellContext, Column, Sort, SummaryLine, Tone } from './column.js';
import type { Opening, DetailAccess, Opened, RecordRow } from './opening.js';
import type { Needs, SchemaShape } from './shape.js';

/** Curves over time, oldest first, one value a bucket. */
export type Chart = {
  title: string;
  bucketMs: number;
  /** It ends at a moment in the past. */
  isPast?: boolean;
  /** The newest bucket is as long as the others: they are parts of a window, not of the clock. */
  isWhole?: boolean;
  /** Of the values, for the scale; default: `count`. */
  format?: 'count' | 'money';
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
  /** For commands to copy. */
  database: CommandTarget;
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
  /** US dollars that somebody wants to spend a day at most; absent: nobody has said. */
  budgetUsdPerDay?: number | undefined;
  /** Whole and exact figures whatever they cost, instead of what was kept from earlier readings. */
  exact: boolean;
  /** Nothing is shown yet, and the next reading comes soon: what no screen shows at once may wait for that. */
  brief?: boolean | undefined;
  /** Ids of the chosen variant and grouping; absent: the pane has none. The same for all readings of a reader. */
  variant?: string | undefined;
  grouping?: string | undefined;
  /** What is typed to filter the rows, given to panes that ask the server for it. The same for all readings of a reader. */
  filter?: string | undefined;
};

/** Reads a pane again and again; it may keep what need not be asked twice. One a console. */
export interface PaneReader<Row, Extras> {
  /** @throws ConsoleError */
  read(request: ReadRequest): Promise<PaneResult<Row, Extras>>;
  /** Forgets what may be untrue after a reconnect to a server that may be another. */
  reset?(): void;
}

/** One of several ways to show a pane; the first is the default, one key steps through them. */
export type PaneChoice = {
  /** Stable: layouts and recordings name it. */
  id: string;
  /** Stands beside the pane's title: `tool calls`, `by model`. */
  title: string;
  /** Of a variant: what there is not, when it has no rows; default: what the pane says. */
  empty?: string;
};

/** Where a pane is drawn, beside the others. */
export type PaneLayout = {
  /** Its share of the width, 0..1, where another pane is drawn to its right; default 0.5. */
  leftShare?: number;
  /** Its height where all panes are below each other, as a multiple of a usual one; default 1. */
  height?: number;
};

/**
 * One question to the database, with all that is needed to ask it and to draw the answer: in the
 * console, as a plain table, as JSON. Nothing else knows a pane by its id.
 */
export type Pane<
  Row extends object = object,
  Extras extends object = object,
  Id extends string = string,
> = {
  id: Id;
  /** Ids of earlier versions: layouts, recordings and config files that name one mean this pane. */
  formerIds?: readonly string[];
  /** At most 14 columns: titles stand in a column where panes are lines. */
  title: string;
  /** The question it answers, for help. */
  question: string;
  /** What its rows stand for: the actions that take such rows are offered on them. */
  rowsAre?: RowKind;
  needs: Needs;
  /** Part of the overview until the reader chooses others. */
  isInOverview?: boolean;
  layout?: PaneLayout;
  /** What its first reading takes in a new session of the server, about, where it is long (ms): the longest is asked first. */
  firstReadingMs?: number;
  /** Rows arrive newest last, and the newest is followed. Its extras count the events in `seen`. */
  isTail?: boolean;
  /** Shows single events: while agents tell of some it is asked more often than the cadence says. */
  showsEvents?: boolean;
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
  /** Its filter is asked of the server, over the window, so that a tail is full of what matches. */
  asksFilter?: boolean;
  /** Other selections of rows: only hooks, only tool calls. */
  variants?: readonly [PaneChoice, ...PaneChoice[]];
  /** What its rows can be grouped by: model, project, day. */
  groupings?: readonly [PaneChoice, ...PaneChoice[]];
  /** How its rows are shown beside those of the window before. */
  comparison?: Comparison<Row>;
  /** The first is the order in which rows arrive. */
  sorts: readonly [Sort<Row>, ...Sort<Row>[]];
  /** Rows that wait for somebody: they stand on top in every order. */
  isWaiting?(row: Row): boolean;
  rowKey(row: Row): string;
  /** What names a row elsewhere, for the clipboard; default: its first column. */
  idOf?(row: Row): string;
  /** How to get data, when there are no rows. */
  empty: string;
  /** The demo makes rows for it. */
  hasExamples?: true;
  /** One reader a variant and grouping. */
  createReader(): PaneReader<Row, Extras>;
  summary?(result: PaneResult<Row, Extras>, context: CellContext): readonly SummaryLine[];
  chart?(result: PaneResult<Row, Extras>): Chart;
  /** Which command (`:group`) of the console shows what these rows leave out. */
  leadsOn?(result: PaneResult<Row, Extras>): string | undefined;
  /** What Enter on a row opens. */
  detail?(row: Row, shape: SchemaShape, windowMs: number): DetailQuery | Opening;
};

/** The commands of the console that texts of panes name, as `:window`; the screen shows their keys instead. */
export const namedCommands = {
  window: 'window',
  group: 'group',
  help: 'help',
  judge: 'judge',
} as const;

/** What to do where the window has no rows. */
export const chooseLonger = `Choose a longer one with :${namedCommands.window}.`;

/** What an empty pane says; `offersDemo`: traffic of the demo would harm nobody here. */
export function emptyText(
  pane: Pane,
  offersDemo: boolean,
  { variant, filter }: { variant?: string | undefined; filter?: string | undefined } = {},
): string {
  if (filter !== undefined) {
    return looksBack(pane)
      ? `Nothing in the window matches /${filter}; :${namedCommands.window} chooses another, Esc shows all.`
      : `Nothing matches /${filter}; Esc shows all.`;
  }
  const { empty, hasExamples, variants } = pane;
  const ofVariant = variants?.find(({ id }) => id === variant)?.empty;
  if (ofVariant !== undefined) return ofVariant;
  return hasExamples && offersDemo ? `${empty} For examples: trace-console demo` : empty;
}

export function looksBack({ windowed, looksBack: can = windowed }: Pane): boolean {
  return can;
}

/** Of a pane whose row type is known only to itself: its rows are only ever handed back to it. */
export type AnyPaneResult = PaneResult<object, object>;

/** A figure of a row in the window that is shown, and in the one before; null: it is not known. */
export type Pair = { now: number | null; before: number | null };

/** What a row can be compared by. Absent: it has no such figure. */
export type ComparedFigures = {
  calls?: Pair;
  failures?: Pair;
  p95Ms?: Pair;
  /** 0..1 */
  share?: Pair;
  costUsd?: Pair;
};

export type Comparison<Row> = {
  /** So many columns, the first, name a row. */
  names: number;
  figures: readonly (keyof ComparedFigures)[];
  of(row: Row): ComparedFigures;
};

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

/** Panes that are asked at the same time, those that take longest first. */
export function inStartOrder<Asked>(
  asked: readonly Asked[],
  paneOf: (asked: Asked) => Pane,
): Asked[] {
  const lengthOf = (each: Asked) => paneOf(each).firstReadingMs ?? 0;
  return [...asked].sort((one, other) => lengthOf(other) - lengthOf(one));
}

/** What names a row elsewhere: an id, a name; not what its cell was cut to. */
export function idOf(pane: Pane, row: object): string {
  return pane.idOf?.(row) ?? String(pane.columns[0]?.value(row) ?? '');
}

/** What Enter on a row of a pane opens; undefined where there is nothing more to show. */
export function rowOpening(pane: Pane, row: object): Opening | undefined {
  if (!pane.detail) return undefined;
  return { title: pane.title, read: (access) => readRow(pane, row, access) };
}

async function readRow(pane: Pane, row: object, access: DetailAccess): Promise<Opened> {
  const detail = pane.detail?.(row, access.shape, access.windowMs);
  if (!detail) return { kind: 'records', title: pane.title, rows: [] };
  if ('read' in detail) return detail.read(access);
  const rows = await access.read<RecordRow>(detail.text, detail.values);
  return { kind: 'records', title: detail.title, rows };
}
