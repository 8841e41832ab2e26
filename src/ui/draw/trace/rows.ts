import {
  eventText,
  outcomeTones,
  subjectText,
  type Outcome,
  type TraceEvent,
} from '../../../panes/trace/event.js';
import { nodeTitle, type TraceNode, type TraceTree } from '../../../panes/trace/tree.js';
import { formatDuration } from '../../../core/format/time.js';
import { formatShare } from '../../../core/format/number.js';
import { safeLine } from '../../../terminal/sanitise.js';
import { displayWidth, fit, truncate } from '../../../terminal/width.js';
import type { Look } from '../../theme.js';
import {
  blank,
  cell,
  joinLines,
  plainText,
  styled,
  type Segment,
  type StyledLine,
} from '../styled-line.js';
import { columnGap } from '../table.js';

export type TraceRowOptions = {
  tree: TraceTree;
  columns: TraceColumns;
  width: number;
  /** Draws the lines of the tree; else the rows stand by themselves. */
  asTree: boolean;
  isFolded: boolean;
  selected: boolean;
};

/** What went well has no sign, so that failures stand out. */
const signs: Readonly<Record<Outcome, string>> = {
  ok: ' ',
  failed: '✗',
  running: '●',
  cancelled: '○',
};

/** One event on a line of exactly `width` columns. */
export function drawTraceRow(node: TraceNode, options: TraceRowOptions): StyledLine {
  const { tree, columns, width, selected } = options;
  const { event } = node;
  const tone = outcomeTones[event.outcome];
  const cells: (StyledLine | undefined)[] = [
    [{ text: signs[event.outcome], look: tone }, blank(1), ...drawName(node, options)],
    columns.text > 0 ? [cell(textOf(event, columns.text), columns.text, 'muted')] : undefined,
    columns.bar > 0 ? drawBar(node, { totalMs: tree.totalMs, width: columns.bar }) : undefined,
    columns.start > 0
      ? [cell(`+${formatDuration(node.startMs)}`, columns.start, 'muted', 'right')]
      : undefined,
    [cell(tookText(node), columns.took, tone, 'right')],
    columns.own > 0
      ? [cell(node.ownMs > 0 ? formatDuration(node.ownMs) : '', columns.own, undefined, 'right')]
      : undefined,
    columns.share > 0 ? [cell(shareText(node, tree), columns.share, 'muted', 'right')] : undefined,
  ];
  const shown = cells.filter((each) => each !== undefined);
  const line = joinLines(shown, columns.gap);
  return selected ? styled(fit(plainText(line), width), 'selected') : line;
}

/** Narrower than this, the type of a hook would leave no room for its tool. */
const shortBelow = 40;

function drawName(node: TraceNode, options: TraceRowOptions): StyledLine {
  const { event } = node;
  const { name: width } = options.columns;
  const branch = options.asTree ? branchOf(node, options.isFolded, Math.floor(width / 2)) : '';
  const below = options.isFolded ? belowText(node) : '';
  const title = safeLine(nodeTitle(node, width < shortBelow), { limit: 4 * width });
  const room = width - displayWidth(branch);
  const belowRoom = Math.min(displayWidth(below), Math.max(0, room - 8));
  const shownTitle = fit(title, Math.min(room - belowRoom, displayWidth(title)));
  const subject = subjectOf(node, options, room - displayWidth(shownTitle) - belowRoom);
  const shown = shownTitle + fit(below, belowRoom) + subject;
  return [
    { text: branch, look: 'muted' },
    { text: shownTitle, look: nameLook(event) },
    {
      text: shown.slice(shownTitle.length, shown.length - subject.length),
      look: node.failuresBelow > 0 ? 'error' : 'muted',
    },
    { text: subject, look: 'muted' },
    blank(room - displayWidth(shown)),
  ];
}

/** Fewer columns say nothing of a command or a file. */
const leastForSubject = 8;

/** What a tool or a subagent was given, where no column of its own says it: there is none, or it has the error. */
function subjectOf({ event, depth }: TraceNode, { columns }: TraceRowOptions, room: number) {
  const text = subjectText(event);
  const isShown = columns.text > 0 && eventText(event) === text;
  // The prompt of the whole stands above the rows.
  if (isShown || text === '' || room < leastForSubject || depth === 0) return '';
  return ` ${truncate(safeLine(text, { limit: 8 * room }), room - 1)}`;
}

function nameLook({ kind, outcome }: TraceEvent): Look | undefined {
  if (outcome !== 'ok') return outcomeTones[outcome];
  if (kind === 'trace') return 'accent';
  return kind === 'routing_decision' ? 'muted' : undefined;
}

/** What a folded event hides. */
function belowText({ below, failuresBelow }: TraceNode): string {
  return ` (${below} below${failuresBelow > 0 ? `, ${failuresBelow} failed` : ''})`;
}

function textOf(event: TraceEvent, width: number): string {
  return safeLine(eventText(event), { limit: 8 * width });
}

/** Of what still runs: how long it has been running. */
function tookText({ event, startMs, endMs }: TraceNode): string {
  if (event.durationMs !== null) return formatDuration(event.durationMs);
  return event.outcome === 'running' ? formatDuration(endMs - startMs) : '';
}

function shareText({ ownMs }: TraceNode, { totalMs }: TraceTree): string {
  return ownMs > 0 && totalMs > 0 ? formatShare(ownMs / totalMs) : '';
}

/** What stands above the rows: names of the columns, and the time axis over the bars. */
export function drawTraceHeading(
  columns: TraceColumns,
  totalMs: number,
  width: number,
): StyledLine {
  const cells = [
    fit('  event', columns.name + 2),
    columns.text > 0 ? fit('detail', columns.text) : undefined,
    columns.bar > 0 ? axisOf(totalMs, columns.bar) : undefined,
    columns.start > 0 ? fit('start', columns.start, 'right') : undefined,
    fit('took', columns.took, 'right'),
    columns.own > 0 ? fit('own', columns.own, 'right') : undefined,
    columns.share > 0 ? fit('', columns.share) : undefined,
  ];
  const line = cells.filter((cell) => cell !== undefined).join(' '.repeat(columns.gap));
  return [cell(line, width, 'heading')];
}

/** `0      6.10s      12.2s` */
function axisOf(totalMs: number, width: number): string {
  const end = formatDuration(totalMs);
  if (width < 30) return `0${' '.repeat(Math.max(0, width - 1 - end.length))}${end}`;
  const half = formatDuration(totalMs / 2);
  const before = Math.floor(width / 2) - 1;
  const after = width - 1 - before - half.length - end.length;
  return `0${' '.repeat(before)}${half}${' '.repeat(Math.max(0, after))}${end}`;
}

/** Columns of a trace's rows; 0: not shown. Between two of them are `gap` blanks. */
export type TraceColumns = {
  gap: number;
  name: number;
  text: number;
  bar: number;
  start: number;
  took: number;
  own: number;
  share: number;
};

const sign = 2;
const leastBar = 12;

/** Depends on the width only: nothing jumps while a trace runs. */
export function traceColumns(width: number): TraceColumns {
  const gap = columnGap(width);
  const columns: TraceColumns = {
    gap,
    name: Math.min(56, Math.max(20, Math.floor(width * 0.4))),
    text: width >= 150 ? Math.floor(width * 0.18) : 0,
    bar: 0,
    start: width >= 96 ? 7 : 0,
    took: 6,
    own: width >= 56 ? 6 : 0,
    share: width >= 96 ? 4 : 0,
  };
  const used = () => {
    const { name, text, start, took, own, share } = columns;
    const shown = [name, text, start, took, own, share].filter((column) => column > 0);
    return sign + shown.reduce((sum, column) => sum + column + gap, -gap);
  };
  const bar = width - used() - gap;
  if (bar >= leastBar) columns.bar = bar;
  else columns.name += Math.max(0, width - used());
  return columns;
}

/** What a trace of this width does not show, on the lower border: `too narrow for detail, start, share`. */
export function traceColumnsLeftOut(width: number): Segment[] {
  const { text, bar, start, own, share } = traceColumns(width);
  const names = Object.entries({ detail: text, 'time axis': bar, start, own, share });
  const missing = names.filter(([, columns]) => columns === 0).map(([name]) => name);
  if (missing.length === 0) return [];
  return [{ text: `too narrow for ${missing.join(', ')}`, look: 'muted', priority: 2 }];
}

/** The lines of the tree before an event's name, at most `width` columns: `│ ├▾ `. */
export function branchOf(node: TraceNode, isFolded: boolean, width: number): string {
  const hasChildren = node.children.length > 0;
  const sign = hasChildren ? (isFolded ? '▸' : '▾') : '─';
  if (!node.parent) return hasChildren ? `${sign} ` : '';
  let branch = `${node.isLast ? '└' : '├'}${sign} `;
  for (let above = node.parent; above.parent; above = above.parent) {
    // Of a deep tree the outermost lines give way.
    if (branch.length + 2 > width) return `…${branch.slice(1)}`;
    branch = (above.isLast ? '  ' : '│ ') + branch;
  }
  return branch;
}

/** Where on the time axis an event is: `█` while the whole waited for it, `━` beside that, `░` running. */
export type BarCells = { from: number; until: number; cells: string };

const barSigns = { own: '█', beside: '━', running: '░' } as const;

/** The bar of an event on an axis of `width` cells for `totalMs`; at least one cell. */
export function barCells(node: TraceNode, totalMs: number, width: number): BarCells {
  const perMs = totalMs > 0 ? width / totalMs : 0;
  const from = Math.min(width - 1, Math.max(0, Math.floor(node.startMs * perMs)));
  const until = Math.min(width, Math.max(from + 1, Math.round(node.endMs * perMs)));
  const own = new Float64Array(until - from);
  for (const [start, end] of node.ownSpans) {
    const last = Math.min(until - 1, Math.floor(end * perMs));
    for (let cell = Math.max(from, Math.floor(start * perMs)); cell <= last; cell++) {
      own[cell - from] = (own[cell - from] ?? 0) + partOfCell(start * perMs, end * perMs, cell);
    }
  }
  const beside = node.event.outcome === 'running' ? barSigns.running : barSigns.beside;
  const cells = [...own].map((waited, index) => {
    const part = partOfCell(node.startMs * perMs, node.endMs * perMs, from + index);
    return waited > 0 && waited >= part / 2 ? barSigns.own : beside;
  });
  return { from, until, cells: cells.join('') };
}

/** How much of a cell lies between two places on the axis, 0..1. */
function partOfCell(start: number, end: number, cell: number): number {
  return Math.max(0, Math.min(end, cell + 1) - Math.max(start, cell));
}

const looks: Readonly<Record<Outcome, { own: Look; beside: Look }>> = {
  ok: { own: 'accent', beside: 'muted' },
  failed: { own: 'error', beside: 'error' },
  running: { own: 'running', beside: 'running' },
  cancelled: { own: 'warning', beside: 'warning' },
};

/** The bar as text of exactly `width` columns. */
export function drawBar(
  node: TraceNode,
  { totalMs, width }: { totalMs: number; width: number },
): StyledLine {
  const { from, until, cells } = barCells(node, totalMs, width);
  const { own, beside } = looks[node.event.outcome];
  const runs = (cells.match(/█+|[^█]+/g) ?? []).map((text) => ({
    text,
    look: text.startsWith(barSigns.own) ? own : beside,
  }));
  return [blank(from), ...runs, blank(width - until)];
}
