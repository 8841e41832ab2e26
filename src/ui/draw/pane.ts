import type { PaneSnapshot } from '../../live/state.js';
import type { AnyPane, AnyPaneResult, CellContext } from '../../panes/pane.js';
import { formatDuration } from '../../shared/format/duration.js';
import { formatMoment } from '../../shared/format/time.js';
import { safeLine } from '../../terminal/sanitise.js';
import { wrapText } from '../../terminal/wrap.js';
import type { Keys } from '../keys/keys.js';
import { findCursor, isTail, scrollTop, seenBy, type PaneView } from '../model/pane-view.js';
import { rowsInView } from '../model/rows-in-view.js';
import type { Theme } from '../theme.js';
import { drawBox, innerHeight, innerWidth } from './box.js';
import { drawChartLines, leastChartHeight } from './chart.js';
import { columnGap } from './columns.js';
import { drawSegments, type Segment } from './segments.js';
import { drawTable } from './table.js';

export type PaneInput = {
  pane: AnyPane;
  snapshot: PaneSnapshot;
  view: PaneView;
  /** What its texts call the keys. */
  keys: Keys;
  /** The key that focuses it, where it has one. */
  number: string | undefined;
  width: number;
  height: number;
  focused: boolean;
  /** How old the rows are, in words; undefined while they are fresh. */
  age: string | undefined;
  /** In which zone moments are written: what was drawn in another is drawn anew. */
  utc: boolean;
  /** What the reader asked for; the budget may make it longer. */
  cadenceMs: number;
};

export type DrawnPane = {
  lines: string[];
  /** Position of the first row shown: where the next drawing begins to look. */
  top: number;
  /** Rows in view, for a page up or down. */
  visibleRows: number;
  /** Columns that have no room, to the right. */
  hiddenColumns: number;
};

/** A whole pane in its border, from its declaration and its snapshot. `top` is that of the last drawing. */
export function drawPane(theme: Theme, input: PaneInput, top: number): DrawnPane {
  const { pane, snapshot, view, width, height, focused } = input;
  const inner = { width: innerWidth(width), height: innerHeight(height) };
  const rows = rowsInView(pane, snapshot.rows, view, contextOf(snapshot).nowMs);
  const cursor = findCursor(pane, rows, view);
  const above = linesAbove(theme, input, inner);
  const room = Math.max(0, inner.height - above.length);
  const body = drawBody(theme, input, rows, { width: inner.width, height: room, top });
  const lines = drawBox(theme, [...above, ...body.lines], {
    width,
    height,
    focused,
    title: titleOf(input, rows.length),
    titleRight: titleRightOf(input, cursor.index),
    foot: footOf(input, rows, cursor.gone, body.hiddenColumns),
    footRight: placeOf(rows.length, body.top, body.visibleRows),
  });
  return { ...body, lines };
}

type Inner = { width: number; height: number };

/** A failure and the summary stand above the rows. */
function linesAbove(theme: Theme, { pane, snapshot }: PaneInput, inner: Inner): string[] {
  const lines: string[] = [];
  const { error } = snapshot;
  if (error && snapshot.asOf) {
    lines.push(
      drawSegments(theme, [{ text: safeLine(error.message), look: 'error' }], inner.width),
    );
  }
  if (snapshot.asOf && inner.height >= 4) {
    const most = inner.height >= 8 ? 2 : 1;
    for (const summary of summaryOf(pane, snapshot).slice(0, most)) {
      lines.push(drawSegments(theme, summary, inner.width, ' · '));
    }
  }
  return lines.slice(0, inner.height);
}

/** The pane's summary as segments; the first says most and stays longest. */
export function summaryOf(pane: AnyPane, snapshot: PaneSnapshot): Segment[][] {
  const result = resultOf(snapshot);
  if (!result) return [];
  return (pane.summary?.(result, contextOf(snapshot)) ?? [])
    .map((line) =>
      line.map(({ text, tone }, index) => ({
        text: safeLine(text),
        look: tone,
        priority: index + 1,
      })),
    )
    .filter((line) => line.length > 0);
}

/** The first column says which row it is, and stays. */
function shiftedColumns(columns: AnyPane['columns'], shift: number): AnyPane['columns'] {
  return shift === 0 ? columns : [...columns.slice(0, 1), ...columns.slice(1 + shift)];
}

type Body = Omit<DrawnPane, 'lines'> & { lines: string[] };
type BodySize = Inner & { top: number };

function drawBody(theme: Theme, input: PaneInput, rows: readonly object[], size: BodySize): Body {
  const { pane, snapshot } = input;
  if (rows.length === 0) {
    return { lines: drawMessage(theme, input, size), top: 0, visibleRows: 0, hiddenColumns: 0 };
  }
  const result = resultOf(snapshot);
  const chart = result && pane.chart?.(result);
  if (!chart) return drawRows(theme, input, rows, size);
  const least = tableWidth(pane);
  const beside = size.width - least - chartGap;
  if (beside >= leastChartWidth && size.height >= leastChartHeight) {
    const table = drawRows(theme, input, rows, { ...size, width: least });
    const drawn = drawChartLines(theme, chart, { width: beside, height: size.height });
    const blank = ' '.repeat(least);
    const lines = drawn.map(
      (line, index) => `${table.lines[index] ?? blank}${' '.repeat(chartGap)}${line}`,
    );
    return { ...table, lines };
  }
  const below = size.height - rows.length - 1;
  if (below < leastChartHeight || size.width < 24) return drawRows(theme, input, rows, size);
  const table = drawRows(theme, input, rows, { ...size, height: rows.length + 1 });
  const drawn = drawChartLines(theme, chart, { width: size.width, height: below });
  return { ...table, lines: [...table.lines, ...drawn] };
}

/** Beside a chart a table is as narrow as it can be, but for words a little longer than foreseen. */
const spareWidth = 4;
const leastChartWidth = 28;
const chartGap = 2;

/** What the table beside a chart needs. */
function tableWidth(pane: AnyPane): number {
  const widths = pane.columns.map(({ minWidth, title }) => Math.max(minWidth, title.length));
  return widths.reduce((sum, width) => sum + width + columnGap(0), spareWidth - columnGap(0));
}

function drawRows(theme: Theme, input: PaneInput, rows: readonly object[], size: BodySize): Body {
  const { pane, snapshot, view, focused } = input;
  const hasHeading = size.height >= 2;
  const visibleRows = Math.max(0, size.height - (hasHeading ? 1 : 0));
  const cursor = findCursor(pane, rows, view);
  const top = scrollTop(size.top, cursor.index, visibleRows, rows.length);
  const { marks } = view;
  const columns = shiftedColumns(pane.columns, view.shift);
  const table = drawTable(theme, columns, rows, contextOf(snapshot), {
    width: size.width,
    height: visibleRows,
    top,
    // A row that nobody chose is not marked: its place would be taken for the chosen one.
    cursor: focused && !cursor.gone ? cursor.index : undefined,
    faded: snapshot.error !== null,
    isMarked: marks.size > 0 ? (row) => marks.has(pane.rowKey(row)) : undefined,
  });
  const hiddenColumns = columns.length - table.shownColumns;
  const lines = hasHeading ? [table.heading, ...table.rows] : table.rows;
  return { lines, top, visibleRows, hiddenColumns };
}

/** Why there are no rows: a failure, the first reading, or nothing to show. */
function drawMessage(
  theme: Theme,
  { pane, snapshot, view, keys }: PaneInput,
  size: Inner,
): string[] {
  const { error } = snapshot;
  const paragraphs: [string, Segment['look']][] = error
    ? [
        [error.message, 'error'],
        ...(error.hint ? [[error.hint, 'muted'] as [string, Segment['look']]] : []),
      ]
    : snapshot.asOf
      ? [
          [
            snapshot.rows.length > 0
              ? noMatch(view.filter, snapshot.rows.length)
              : keys.inText(pane.empty),
            'muted',
          ],
        ]
      : [['asking …', 'muted']];
  const lines = paragraphs.flatMap(([text, look]) =>
    wrapText(safeLine(text), size.width).map((line) => ({ text: line, look })),
  );
  return lines.slice(0, size.height).map(({ text, look }, row) => {
    // The last line goes on with what has no line any more, so that it ends with the sign of that.
    const rest = row === size.height - 1 ? lines.slice(row + 1) : [];
    const whole = [text, ...rest.map((line) => line.text)].join(' ');
    return drawSegments(theme, [{ text: whole, look }], size.width);
  });
}

function noMatch(filter: string, count: number): string {
  return `None of ${count} rows matches /${filter}; Esc shows them all.`;
}

/** `/status:failed 3 of 12`: which rows are shown, and how many there are. */
export function filterSegments({ filter }: PaneView, shown: number, count: number): Segment[] {
  if (filter === '') return [];
  return [
    { text: `/${safeLine(filter)}`, look: 'accent' },
    { text: `${shown} of ${count}`, look: shown === 0 ? 'warning' : 'muted' },
  ];
}

function titleOf(input: PaneInput, shown: number): Segment[] {
  const { pane, number, focused, snapshot, view } = input;
  return [
    { text: number ?? '', look: focused ? 'focus' : 'muted' },
    { text: pane.title, look: focused ? 'focus' : 'title' },
    ...filterSegments(view, shown, snapshot.rows.length),
    ...(snapshot.exact ? [{ text: 'exact', look: 'accent' as const, priority: 2 }] : []),
  ];
}

function titleRightOf(input: PaneInput, cursor: number | undefined): Segment[] {
  const { pane, snapshot, view, age, cadenceMs } = input;
  const segments: Segment[] = [];
  if (snapshot.loading) {
    const share = Math.floor(100 * snapshot.loading.share);
    segments.push({ text: `fetching ${share}%`, look: 'running' });
  }
  if (age !== undefined) segments.push({ text: `as of ${age}`, look: 'warning' });
  // Rows that look fresh would not be: asking as often as wanted would cost the server too much.
  const isNow = snapshot.untilMs === undefined;
  if (isNow && snapshot.intervalMs > 4 * Math.max(cadenceMs, pane.minIntervalMs)) {
    segments.push({
      text: `every ${formatDuration(snapshot.intervalMs)}`,
      look: 'muted',
      priority: 2,
    });
  }
  const sort = pane.sorts[view.sort] ?? pane.sorts[0];
  if (isTail(pane)) {
    segments.push(followOf(input, cursor));
  } else if (view.sort > 0 || view.reversed) {
    const arrow = (sort.direction === 'desc') === view.reversed ? '↑' : '↓';
    segments.push({ text: `${arrow} ${sort.title}`, look: 'muted', priority: 2 });
  }
  return segments;
}

function followOf({ snapshot, view }: PaneInput, cursor: number | undefined): Segment {
  if (snapshot.untilMs !== undefined) {
    const moment = formatMoment(new Date(snapshot.untilMs));
    return { text: `before ${moment}`, look: 'muted', priority: 2 };
  }
  if (view.follow || cursor === undefined) return { text: 'following', look: 'muted', priority: 2 };
  // How many of the new ones pass a filter is not known without counting.
  const unseen = view.filter === '' ? seenBy(snapshot.extras) - view.seen : 0;
  return unseen > 0
    ? { text: `${unseen} new ↓`, look: 'badge' }
    : { text: 'held', look: 'muted', priority: 2 };
}

function footOf(
  { pane, snapshot, view, focused }: PaneInput,
  rows: readonly object[],
  gone: boolean,
  hidden: number,
): Segment[] {
  const segments: Segment[] = [];
  const { size: marked } = view.marks;
  if (marked > 0) {
    const shown = rows.filter((row) => view.marks.has(pane.rowKey(row))).length;
    const unseen = shown < marked ? `, ${marked - shown} not shown` : '';
    segments.push({ text: `${marked} marked${unseen}`, look: 'accent' });
  }
  if (focused && view.shift > 0) {
    const columns = view.shift === 1 ? 'column' : 'columns';
    const more = hidden > 0 ? `, > ${hidden} more` : '';
    segments.push({ text: `< ${view.shift} ${columns} hidden${more}`, look: 'muted', priority: 2 });
  }
  if (gone) segments.push({ text: 'the chosen row is gone', look: 'warning' });
  for (const note of snapshot.notes) {
    segments.push({ text: safeLine(note), look: 'warning', priority: 2 });
  }
  return segments;
}

/** `13–24 of 108`, where not everything is in view. */
function placeOf(count: number, top: number, visible: number): Segment[] {
  if (visible <= 0 || count <= visible) return [];
  return [{ text: `${top + 1}–${Math.min(count, top + visible)} of ${count}`, look: 'muted' }];
}

function contextOf(snapshot: PaneSnapshot): CellContext {
  return { nowMs: snapshot.asOf?.getTime() ?? 0 };
}

function resultOf(snapshot: PaneSnapshot): AnyPaneResult | undefined {
  const { rows, extras, asOf, notes } = snapshot;
  return asOf && extras ? { rows, extras, asOf, notes } : undefined;
}
