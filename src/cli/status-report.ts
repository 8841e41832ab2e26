import { didYouMean } from '../core/nearest.js';
import { systemClock } from '../core/clock.js';
import type { Database } from '../db/database.js';
import { ConsoleError, type ExitCode, exitCodes } from '../db/errors.js';
import { offersDemo } from '../demo/index.js';
import { CostMeter, PaneFeed } from '../live/pane-feed.js';
import type { PaneSnapshot } from '../live/state.js';
import type { CellContext } from '../panes/contract/column.js';
import { drawChart } from '../panes/contract/chart.js';
import { type AnyPane, overviewPaneIds, paneById, panes } from '../panes/registry.js';
import { emptyText, inStartOrder, type AnyPaneResult } from '../panes/contract/pane.js';
import { readShape } from '../panes/contract/shape.js';
import { formatDuration, formatSpan, formatMoment, formatTimestamp } from '../core/format/time.js';
import { safeLine } from '../terminal/sanitise.js';
import { paneTable } from './plain-table.js';
import { reportWidth, safeJson } from './safe-text.js';

export type StatusOptions = {
  windowMs: number;
  stuckAfterMs: number;
  budgetUsdPerDay?: number | undefined;
  /** Of the panes that have it. */
  grouping?: string | undefined;
  /** Where the windows end, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
  /** Counts every row each time; else what was kept from the reading before is used. */
  exact: boolean;
  /** So many panes are read at the same time; default 1. */
  atOnce?: number;
};

/** Reads panes once or again and again, without a schedule: for reports. */
export class StatusReader {
  readonly #database: Database;
  readonly #feeds: readonly PaneFeed[];
  readonly #options: StatusOptions;

  constructor(database: Database, panes: readonly AnyPane[], options: StatusOptions) {
    const meter = new CostMeter(database);
    this.#database = database;
    this.#options = options;
    this.#feeds = panes.map((pane) => {
      const feed = new PaneFeed(pane, database, systemClock, meter);
      feed.exact = options.exact;
      feed.setUntil(options.untilMs);
      if (options.grouping !== undefined) feed.setGrouping(options.grouping);
      return feed;
    });
  }

  /**
   * Every pane, each whole; one that fails has its error in its snapshot.
   *
   * @throws ConsoleError when not even the catalogue can be read.
   */
  async read(): Promise<readonly { pane: AnyPane; snapshot: PaneSnapshot }[]> {
    const shape = await readShape(this.#database);
    const waiting = inStartOrder(this.#feeds, ({ pane }) => pane);
    const readNext = async () => {
      for (let feed = waiting.shift(); feed; feed = waiting.shift()) {
        let snapshot: PaneSnapshot;
        do {
          ({ snapshot } = await feed.read({ ...this.#options, shape }));
        } while (snapshot.error === null && snapshot.loading !== null);
      }
    };
    await Promise.all(Array.from({ length: this.#options.atOnce ?? 1 }, readNext));
    return this.#feeds.map(({ pane, snapshot }) => ({ pane, snapshot }));
  }
}

export function chosenPanes(named: readonly string[], all: boolean): readonly AnyPane[] {
  if (all) {
    if (named.length > 0) throw new ConsoleError('usage', 'Either --pane or --all.');
    return panes;
  }
  return (named.length > 0 ? named : overviewPaneIds).map((id) => paneById(id));
}

/** @throws ConsoleError `usage` where no chosen pane has the grouping */
export function checkGrouping(chosen: readonly AnyPane[], grouping: string | undefined): void {
  const known = chosen.flatMap(({ groupings = [] }) => groupings.map(({ id }) => id));
  if (grouping === undefined || known.includes(grouping)) return;
  throw new ConsoleError('usage', `--group does not know "${grouping}".`, {
    hint:
      known.length > 0
        ? `${didYouMean(grouping, known)}Groups: ${known.join(', ')}`
        : `Only some panes have groups: --pane ${panes.find(({ groupings }) => groupings)?.id ?? ''}`,
  });
}

type Style = {
  hint: (text: string) => string;
  at: Date | null;
  windowMs: number;
  json: boolean;
  oneLine: boolean;
  all: boolean;
};

export async function printStatus(
  database: Database,
  reader: StatusReader,
  print: (line: string) => void,
  { json, oneLine, ...style }: Style,
): Promise<ExitCode> {
  const read = await reader.read();
  const snapshots = read.map(({ snapshot }) => snapshot);
  if (json) print(safeJson(statusJson(database, snapshots, style.at), oneLine ? 0 : 2));
  else {
    const isEmpty = snapshots.some(({ rows }) => rows.length === 0);
    const demo = isEmpty && (await offersDemo(database).catch(() => false));
    print(statusText(database, read, { ...style, offersDemo: demo }));
  }
  return snapshots.every(({ error }) => error === null) ? exitCodes.good : exitCodes.notGood;
}

/** What `status --json` prints for a pane: its rows, and beside them what else it knows. */
export type PaneJson = {
  /** The server's clock, or the moment chosen in the past; null when there was no answer. */
  asOf: Date | null;
  /** Server time in milliseconds. */
  costMs: number | null;
  rows: readonly object[];
  notes: readonly string[];
  error: { code: string; message: string; hint: string | null } | null;
};

export type StatusJson = {
  database: ReturnType<typeof databaseJson>;
  /** The chosen moment in the past at which the windows end; null: now. */
  at: Date | null;
  panes: Record<string, PaneJson>;
};

export function statusJson(
  database: Database,
  snapshots: readonly PaneSnapshot[],
  at: Date | null,
): StatusJson {
  return {
    database: databaseJson(database),
    at,
    panes: Object.fromEntries(snapshots.map((snapshot) => [snapshot.id, paneJson(snapshot)])),
  };
}

function databaseJson({ capabilities, address, origin, readOnly }: Database) {
  return {
    name: capabilities.database,
    host: address.host,
    port: address.port,
    user: capabilities.user,
    schema: capabilities.schema,
    source: origin,
    serverVersion: capabilities.serverVersionText,
    pgvector: capabilities.extensions.vector?.version ?? null,
    tls: address.tls,
    embedded: capabilities.embedded,
    standby: capabilities.standby,
    readOnly,
  };
}

function paneJson({ asOf, costMs, rows, extras, notes, error }: PaneSnapshot): PaneJson {
  return {
    ...extras,
    asOf,
    costMs: costMs === null ? null : Math.round(costMs * 100) / 100,
    rows,
    notes,
    error: error && errorJson(error),
  };
}

function errorJson({ code, message, hint }: ConsoleError) {
  return { code, message, hint: hint ?? null };
}

/** Rows of a pane in a report of all panes, and in one of chosen panes. */
const fewRows = 15;
const manyRows = 1_000;
const chartHeight = 6;
const widestChart = 100;

type Read = { pane: AnyPane; snapshot: PaneSnapshot };

type Texts = {
  /** Leads the commands of a text to this database. */
  hint: (text: string) => string;
  /** Empty panes tell of the demo. */
  offersDemo: boolean;
};

type TextOptions = Texts & { all: boolean; at: Date | null; windowMs: number };

/** The status as plain text: a line for the database, then each pane with summary, chart and table. */
export function statusText(
  database: Database,
  read: readonly Read[],
  { all, at, windowMs, ...texts }: TextOptions,
): string {
  const { capabilities, address, origin } = database;
  const { vector } = capabilities.extensions;
  const place = capabilities.embedded ? 'embedded' : `${address.host}:${address.port}`;
  const head = [
    `${capabilities.database} on ${place}`,
    `PostgreSQL ${capabilities.serverVersionText}`,
    ...(capabilities.citus ? [`Citus ${capabilities.citus.version}`] : []),
    vector ? `pgvector ${vector.version}` : 'no pgvector',
    `schema ${capabilities.schema}`,
    `as ${capabilities.user}`,
    ...(capabilities.embedded ? [] : [`from ${origin}`]),
    ...(capabilities.standby ? ['standby'] : []),
    ...(database.readOnly ? ['read-only'] : []),
    ...(at ? [`at ${formatMoment(at)}, window ${formatSpan(windowMs)}`] : []),
  ].join(', ');
  const limit = all ? fewRows : manyRows;
  return [safeLine(head), ...read.map((one) => paneText(one, limit, texts))].join('\n\n');
}

function paneText({ pane, snapshot }: Read, limit: number, texts: Texts): string {
  const asOf = snapshot.asOf ? `  ${formatTimestamp(snapshot.asOf)}` : '';
  const cost = snapshot.costMs === null ? '' : `  ${formatDuration(snapshot.costMs)}`;
  return [
    `${pane.title.toUpperCase()}${asOf}${cost}`,
    ...errorLines(snapshot, texts),
    ...(snapshot.asOf ? bodyLines({ pane, snapshot }, snapshot.asOf, limit, texts) : []),
    ...snapshot.notes.map((note) => `note: ${safeLine(note)}`),
  ].join('\n');
}

function errorLines({ error }: PaneSnapshot, { hint }: Texts): string[] {
  if (!error) return [];
  return [
    `error: ${safeLine(error.message)}`,
    ...(error.hint === undefined ? [] : [`hint: ${safeLine(hint(error.hint))}`]),
  ];
}

function bodyLines(
  { pane, snapshot }: Read,
  asOf: Date,
  limit: number,
  { hint, offersDemo }: Texts,
): string[] {
  const { rows, extras = {}, notes } = snapshot;
  const context = { nowMs: asOf.getTime() };
  const result: AnyPaneResult = { rows, extras, asOf, notes };
  const summary = (pane.summary?.(result, context) ?? []).map((line) =>
    safeLine(line.map(({ text }) => text).join(', ')),
  );
  if (rows.length === 0) {
    return [...summary, hint(withFlags(emptyText(pane, offersDemo, snapshot)))];
  }
  const chart = pane.chart?.(result);
  return [
    ...summary,
    ...(chart ? drawChart(chart, { width: chartWidth(), height: chartHeight }) : []),
    ...tableLines(pane, rows, context, limit),
  ];
}

/** What a key does in the console, a flag does here. */
function withFlags(text: string): string {
  return text.replaceAll(/:(window|group)\b/g, '--$1');
}

function tableLines(
  pane: AnyPane,
  rows: readonly object[],
  context: CellContext,
  limit: number,
): string[] {
  // A tail's newest rows are its last.
  const [sort] = pane.sorts;
  const shown = sort.direction === 'asc' ? rows.slice(-limit) : rows.slice(0, limit);
  const hidden = rows.length - shown.length;
  return [
    paneTable(pane, shown, context),
    ...(hidden > 0 ? [`${hidden} more: --pane ${pane.id}, or --json`] : []),
  ];
}

function chartWidth(): number {
  return Math.min(widestChart, reportWidth() ?? widestChart);
}
