import { isBeingFilled, type PaneSnapshot, showsOldRows } from '../../live/state.js';
import type { AnyPane } from '../../panes/registry.js';
import { emptyText, type AnyPaneResult, type Chart } from '../../panes/contract/pane.js';
import type { CellContext } from '../../panes/contract/column.js';
import { formatDuration, formatMoment } from '../../core/format/time.js';
import { safeLine } from '../../terminal/sanitise.js';
import { wrapText } from '../../terminal/width.js';
import type { Keymap } from '../keymap.js';
import {
  findCursor,
  leftToFilter,
  rowsInView,
  seenBy,
  sortedColumn,
  sortsOf,
  type PaneView,
} from '../model/pane-view.js';
import { scrollTop } from '../model/list-state.js';
import { strings } from '../strings.js';
import { drawBox, innerHeight, innerWidth, writer } from './box.js';
import { fillingText } from './header.js';
import { drawChartLines, leastChartHeight } from './chart.js';
import {
  columnGap,
  columnsOutOfView,
  drawTable,
  hiddenColumns,
  tableColumnsWidth,
} from './table.js';
import { drawSegments, drawSummary, type Segment, blank, type StyledLine } from './styled-line.js';

export type PaneInput = {
  pane: AnyPane;
  snapshot: PaneSnapshot;
  view: PaneView;
  /** Replaces `:name` in its texts by keys. */
  keys: Pick<Keymap, 'inText'>;
  /** The key that focuses it, where it has one. */
  number: string | undefined;
  width: number;
  height: number;
  focused: boolean;
  /** What an empty pane says first: which sessions could be imported. */
  welcome?: string | undefined;
  /** An empty pane mentions the demo. */
  offersDemo?: boolean;
  /** So much of the demo's history is written, 0..1: what is empty now is so for a moment only. */
  filling?: number | undefined;
  /** How old the rows are, in words; undefined while they are fresh. */
  age: string | undefined;
  /** Times are in UTC. Not read here: as a property it makes a change of zone draw the pane again. */
  utc: boolean;
  /** The chosen cadence; the pane may be read less often to save the server's time. */
  cadenceMs: number;
};

/** What decides how much of a pane is in view. */
export type PanePlace = Pick<
  PaneInput,
  'pane' | 'snapshot' | 'view' | 'width' | 'height' | 'filling'
>;

/** What of a pane is in view. */
export type PaneRoom = {
  /** Position of the first row shown. */
  top: number;
  visibleRows: number;
  /** Columns that have no room, to the right. */
  hiddenColumns: number;
  /** The column that the rows are sorted by. */
  sortedBy?: string | undefined;
};

/** Which rows of a pane are in view at its size. Drawing and scrolling both use it, so that they agree. */
export function paneRoom(place: PanePlace): PaneRoom {
  return partsOf(place).room;
}

/** A whole pane in its border, from its declaration and its snapshot. */
export function drawPane(input: PaneInput): StyledLine[] {
  const { width, height, focused, pane, view } = input;
  const parts = partsOf(input);
  const { above, rows, room } = parts;
  const cursor = findCursor(pane, rows, view);
  return drawBox([...above, ...drawBody(input, parts)], {
    width,
    height,
    focused,
    title: titleOf(input, rows.length),
    titleRight: titleRightOf(input, cursor.index),
    foot: footOf(input, rows, cursor.gone),
    footRight: [
      ...columnsOutOfView(view.shift, room.hiddenColumns, focused ? input.keys : undefined),
      ...inViewOf(rows.length, room),
    ],
  });
}

type Inner = { width: number; height: number };

type Parts = BodyParts & {
  above: StyledLine[];
  rows: readonly object[];
  body: Inner;
  room: PaneRoom;
};

function partsOf(place: PanePlace): Parts {
  const { pane, snapshot, view, width, height } = place;
  const inner = { width: innerWidth(width), height: innerHeight(height) };
  const left = leftToFilter(view, snapshot.filter);
  const rows = rowsInView(pane, snapshot.rows, left, contextOf(snapshot).nowMs);
  const above = linesAbove(place, inner);
  const body = { width: inner.width, height: Math.max(0, inner.height - above.length) };
  const parts = bodyParts(place, rows, body);
  return { ...parts, above, rows, body, room: tableRoom(place, rows, parts.table) };
}

/** A failure and the summary stand above the rows. */
function linesAbove({ pane, snapshot, filling }: PanePlace, inner: Inner): StyledLine[] {
  const lines: StyledLine[] = [];
  // Counts of nothing would read as if nothing had happened.
  if (isBeingFilled(snapshot, filling)) return lines;
  const { error } = snapshot;
  if (error && snapshot.asOf) {
    lines.push(drawSegments([{ text: safeLine(error.message), look: 'error' }], inner.width));
  }
  if (snapshot.asOf && inner.height >= 4) {
    const most = inner.height >= 8 ? 2 : 1;
    for (const summary of summaryOf(pane, snapshot).slice(0, most)) {
      lines.push(drawSummary(summary, inner.width));
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

/** Where the table and the chart of a pane are: side by side, one below the other, or the table alone. */
type BodyParts = { table: Inner; chart?: { kind: 'beside' | 'below'; size: Inner; chart: Chart } };

function bodyParts({ pane, snapshot }: PanePlace, rows: readonly object[], size: Inner): BodyParts {
  const result = rows.length === 0 ? undefined : resultOf(snapshot);
  const chart = result && pane.chart?.(result);
  if (!chart) return { table: size };
  const { width, height } = size;
  const least = tableWidth(pane);
  const beside = width - least - chartGap;
  if (beside >= leastChartWidth && height >= leastChartHeight) {
    const room = { width: beside, height };
    return { table: { width: least, height }, chart: { kind: 'beside', size: room, chart } };
  }
  const below = height - rows.length - 1;
  if (below < leastChartHeight || width < 24) return { table: size };
  const room = { width, height: below };
  return {
    table: { width, height: rows.length + 1 },
    chart: { kind: 'below', size: room, chart },
  };
}

function drawBody(input: PaneInput, parts: Parts): readonly StyledLine[] {
  const { rows, body, table, chart } = parts;
  if (rows.length === 0) return drawMessage(input, body);
  const lines = drawRows(input, parts);
  if (!chart) return lines;
  const drawn = drawChartLines(chart.chart, chart.size);
  if (chart.kind === 'below') return [...lines, ...drawn];
  const empty = [blank(table.width)];
  return drawn.map((line, index) => [...(lines[index] ?? empty), blank(chartGap), ...line]);
}

/** Beside a chart a table gets its least width and these spare columns, for words longer than expected. */
const spareWidth = 4;
const leastChartWidth = 28;
const chartGap = 2;

/** What the table beside a chart needs. */
function tableWidth(pane: AnyPane): number {
  const widths = pane.columns.map(({ minWidth, title }) => Math.max(minWidth, title.length));
  return widths.reduce((sum, width) => sum + width + columnGap(0), spareWidth - columnGap(0));
}

/** A heading needs a line of two at least. */
const headingLines = (height: number) => (height >= 2 ? 1 : 0);

function tableRoom(
  { pane, view, snapshot }: PanePlace,
  rows: readonly object[],
  size: Inner,
): PaneRoom {
  if (rows.length === 0) return { top: 0, visibleRows: 0, hiddenColumns: 0 };
  const visibleRows = Math.max(0, size.height - headingLines(size.height));
  const cursor = findCursor(pane, rows, view);
  const width = tableColumnsWidth(size.width, view.marks.size > 0);
  const sortedBy = sortedColumn(pane, snapshot.rows, view);
  const placing = { rows: snapshot.rows, context: contextOf(snapshot), sortedBy };
  return {
    top: scrollTop(view.top, cursor.index, visibleRows, rows.length),
    visibleRows,
    hiddenColumns: hiddenColumns(pane.columns, view.shift, width, placing),
    sortedBy,
  };
}

function drawRows(input: PaneInput, { rows, table: size, room }: Parts): StyledLine[] {
  const { pane, snapshot, view, focused } = input;
  const { top, visibleRows, sortedBy } = room;
  const cursor = findCursor(pane, rows, view);
  const { marks } = view;
  const table = drawTable(pane.columns, rows, contextOf(snapshot), {
    width: size.width,
    shift: view.shift,
    height: visibleRows,
    top,
    // When the chosen row is gone, none is highlighted: the row in its place was not chosen.
    cursor: focused && !cursor.gone ? cursor.index : undefined,
    sortedBy,
    faded: snapshot.error !== null || showsOldRows(snapshot),
    all: snapshot.rows,
    isMarked: marks.size > 0 ? (row) => marks.has(pane.rowKey(row)) : undefined,
  });
  return headingLines(size.height) > 0 ? [table.heading, ...table.rows] : table.rows;
}

/** Why there are no rows: a failure, the first reading, or nothing to show. */
function drawMessage(
  { pane, snapshot, view, keys, welcome, offersDemo = false, filling }: PaneInput,
  size: Inner,
): StyledLine[] {
  const { error } = snapshot;
  if (isBeingFilled(snapshot, filling)) {
    const lines = writer(size.width)(strings.beingFilled(fillingText(filling)), 'running');
    return lines.slice(0, size.height);
  }
  const nothing = emptyText(pane, offersDemo, snapshot);
  const paragraphs: [string | undefined, Segment['look']][] = error
    ? [
        [error.message, 'error'],
        [error.hint && keys.inText(error.hint), 'muted'],
      ]
    : !snapshot.asOf
      ? [['asking …', 'muted']]
      : snapshot.rows.length > 0
        ? [[strings.noMatch(view.filter, snapshot.rows.length, pane.columns), 'muted']]
        : [
            [welcome && keys.inText(welcome), 'accent'],
            [keys.inText(nothing), 'muted'],
          ];
  const lines = paragraphs.flatMap(([text, look]) =>
    text ? wrapText(safeLine(text), size.width).map((line) => ({ text: line, look })) : [],
  );
  return lines.slice(0, size.height).map(({ text, look }, row) => {
    // Append the overflow to the last line, so that truncation shows an ellipsis.
    const rest = row === size.height - 1 ? lines.slice(row + 1) : [];
    const whole = [text, ...rest.map((line) => line.text)].join(' ');
    return drawSegments([{ text: whole, look }], size.width);
  });
}

/** `/status:failed 3 of 12`: which rows are shown, and how many there are. */
function filterSegments(
  { filter }: PaneView,
  shown: number,
  { rows, filter: asked, loading }: PaneSnapshot,
): Segment[] {
  if (filter === '') return [];
  // Where the server has filtered, there are no hidden rows to count.
  const text = asked === filter && !loading ? `${shown} found` : `${shown} of ${rows.length}`;
  return [
    { text: `/${safeLine(filter)}`, look: 'accent' },
    { text, look: shown === 0 ? 'warning' : 'muted' },
  ];
}

function titleOf(input: PaneInput, shown: number): Segment[] {
  const { pane, number, focused, snapshot, view } = input;
  return [
    { text: number ?? '', look: focused ? 'focus' : 'muted' },
    { text: pane.title, look: focused ? 'focus' : 'title' },
    ...choiceSegments(input),
    ...filterSegments(view, shown, snapshot),
    ...(view.compared === true
      ? [{ text: '· beside the window before', look: 'accent' as const, priority: 2 }]
      : []),
    ...(snapshot.exact ? [{ text: 'exact', look: 'accent' as const, priority: 2 }] : []),
  ];
}

/** Which variant and grouping the rows are of: `tool calls only`, `by model`. */
function choiceSegments({ pane, snapshot }: PaneInput): Segment[] {
  const chosen = [
    pane.variants?.find(({ id }) => id === snapshot.variant),
    pane.groupings?.find(({ id }) => id === snapshot.grouping),
  ];
  return chosen.flatMap((choice) =>
    choice ? [{ text: `· ${choice.title}`, look: 'muted' as const, priority: 3 }] : [],
  );
}

function titleRightOf(input: PaneInput, cursor: number | undefined): Segment[] {
  const { pane, snapshot, view, age, cadenceMs } = input;
  const segments: Segment[] = [];
  if (snapshot.loading) {
    const old = showsOldRows(snapshot) ? 'old rows · ' : '';
    const share = Math.floor(100 * snapshot.loading.share);
    segments.push({ text: `${old}fetching ${share}%`, look: 'running' });
  }
  if (age !== undefined) segments.push({ text: `as of ${age}`, look: 'warning' });
  // The pane is read far less often than chosen, to save the server's time: say so, since its rows look fresh.
  const isNow = snapshot.untilMs === undefined;
  if (isNow && snapshot.intervalMs > 4 * Math.max(cadenceMs, pane.minIntervalMs)) {
    const every = `every ${formatDuration(snapshot.intervalMs)}`;
    segments.push({ text: every, look: 'muted', priority: 2 });
  }
  const sort = sortsOf(pane)[view.sort] ?? pane.sorts[0];
  if (pane.isTail) {
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
  { pane, snapshot, view, keys }: PaneInput,
  rows: readonly object[],
  gone: boolean,
): Segment[] {
  const segments: Segment[] = [];
  const { size: marked } = view.marks;
  if (marked > 0) {
    const shown = rows.filter((row) => view.marks.has(pane.rowKey(row))).length;
    const unseen = shown < marked ? `, ${marked - shown} not shown` : '';
    segments.push({ text: `${marked} marked${unseen}`, look: 'accent' });
  }
  if (gone) segments.push({ text: 'the chosen row is gone', look: 'warning' });
  if (view.hidden !== undefined && view.filter !== '') {
    segments.push({ text: 'the row chosen before is filtered out', look: 'muted', priority: 2 });
  }
  for (const note of snapshot.notes) {
    segments.push({ text: safeLine(note), look: 'warning', priority: 2 });
  }
  const result = resultOf(snapshot);
  const more = result && pane.leadsOn?.(result);
  if (more !== undefined) segments.push({ text: keys.inText(more), look: 'muted', priority: 3 });
  return segments;
}

/** `13–24 of 108`, where not everything is in view. */
function inViewOf(count: number, { top, visibleRows }: PaneRoom): Segment[] {
  if (visibleRows <= 0 || count <= visibleRows) return [];
  return [{ text: `${top + 1}–${Math.min(count, top + visibleRows)} of ${count}`, look: 'muted' }];
}

function contextOf(snapshot: PaneSnapshot): CellContext {
  return { nowMs: snapshot.asOf?.getTime() ?? 0 };
}

function resultOf(snapshot: PaneSnapshot): AnyPaneResult | undefined {
  const { rows, extras, asOf, notes } = snapshot;
  return asOf && extras ? { rows, extras, asOf, notes } : undefined;
}
