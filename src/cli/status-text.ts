import type { Database } from '../db/database.js';
import type { PaneSnapshot } from '../live/state.js';
import { cellOf, type CellContext } from '../panes/contract/column.js';
import { drawChart } from '../panes/contract/chart.js';
import type { AnyPane } from '../panes/registry.js';
import { emptyText, type AnyPaneResult, type Pane } from '../panes/contract/pane.js';
import { formatDuration, formatSpan, formatMoment, formatTimestamp } from '../core/format/time.js';
import { safeLine } from '../terminal/sanitise.js';
import { truncate } from '../terminal/width.js';
import { plainTable } from './plain-table.js';
import { reportWidth } from './safe-text.js';

/** Rows of a pane in a report of all panes, and in one of chosen panes. */
const fewRows = 15;
const manyRows = 1_000;
const widestCell = 60;
const chartHeight = 6;
const widestChart = 100;

type Read = { pane: AnyPane; snapshot: PaneSnapshot };

type Texts = {
  /** Leads the commands of a text to this database. */
  hint: (text: string) => string;
  /** Empty panes tell of the demo. */
  offersDemo: boolean;
};

type StatusOptions = Texts & { all: boolean; at: Date | null; windowMs: number };

/** The status as plain text: a line for the database, then each pane with summary, chart and table. */
export function statusText(
  database: Database,
  read: readonly Read[],
  { all, at, windowMs, ...texts }: StatusOptions,
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

/** Rows of a pane as a plain table: with all its columns, as far as the terminal has room; whole in a file. */
export function paneTable<Row extends object>(
  pane: Pick<Pane<Row>, 'columns'>,
  rows: readonly Row[],
  context: CellContext,
): string {
  const isBound = reportWidth() !== undefined;
  return plainTable(
    pane.columns.map(({ title }) => title),
    rows.map((row) =>
      pane.columns.map((column) => {
        const text = safeLine(cellOf(column, row, context).text);
        return isBound ? truncate(text, column.maxWidth ?? widestCell) : text;
      }),
    ),
    {
      right: pane.columns.flatMap(({ align }, index) => (align === 'right' ? [index] : [])),
      priority: pane.columns.map(({ priority }) => priority),
    },
  );
}
