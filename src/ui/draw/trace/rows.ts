import {
  eventText,
  outcomeTones,
  type Outcome,
  type TraceEvent,
} from '../../../panes/trace/event.js';
import { nodeTitle, type TraceNode, type TraceTree } from '../../../panes/trace/tree.js';
import { formatDuration } from '../../../shared/format/duration.js';
import { formatShare } from '../../../shared/format/number.js';
import { safeLine } from '../../../terminal/sanitise.js';
import { displayWidth, fit } from '../../../terminal/width.js';
import type { Look, Theme } from '../../theme.js';
import { drawBar } from './bar.js';
import { branchOf } from './branch.js';
import type { TraceColumns } from './columns.js';

export type TraceRowOptions = {
  tree: TraceTree;
  columns: TraceColumns;
  width: number;
  /** Draws the lines of the tree; else the rows stand by themselves. */
  asTree: boolean;
  isFolded: boolean;
  selected: boolean;
};

/** Calm is calm: what went well has no sign. */
const signs: Readonly<Record<Outcome, string>> = {
  ok: ' ',
  failed: '✗',
  running: '●',
  cancelled: '○',
};

/** One event on a line of exactly `width` columns. */
export function drawTraceRow(theme: Theme, node: TraceNode, options: TraceRowOptions): string {
  const { tree, columns, width, selected } = options;
  const { event } = node;
  const paint = (look: Look | undefined, text: string) =>
    selected ? text : theme.paint(look, text);
  const tone = outcomeTones[event.outcome];
  const cells = [
    paint(tone, signs[event.outcome]) + ' ' + drawName(paint, node, options),
    columns.text > 0 ? paint('muted', fit(textOf(event, columns.text), columns.text)) : undefined,
    columns.bar > 0
      ? drawBar(theme, node, { totalMs: tree.totalMs, width: columns.bar, plain: selected })
      : undefined,
    columns.start > 0
      ? paint('muted', fit(`+${formatDuration(node.startMs)}`, columns.start, 'right'))
      : undefined,
    paint(tone, fit(tookText(node), columns.took, 'right')),
    columns.own > 0
      ? fit(node.ownMs > 0 ? formatDuration(node.ownMs) : '', columns.own, 'right')
      : undefined,
    columns.share > 0
      ? paint('muted', fit(shareText(node, tree), columns.share, 'right'))
      : undefined,
  ];
  const line = cells.filter((cell) => cell !== undefined).join(' '.repeat(columns.gap));
  return selected ? theme.paint('selected', fit(line, width)) : line;
}

/** Narrower than this, the type of a hook would leave no room for its tool. */
const shortBelow = 40;

type Paint = (look: Look | undefined, text: string) => string;

function drawName(paint: Paint, node: TraceNode, options: TraceRowOptions): string {
  const { event } = node;
  const { name: width } = options.columns;
  const branch = options.asTree ? branchOf(node, options.isFolded, Math.floor(width / 2)) : '';
  const below = options.isFolded ? belowText(node) : '';
  const title = safeLine(nodeTitle(node, width < shortBelow), { limit: 4 * width });
  const room = width - displayWidth(branch);
  const belowRoom = Math.min(displayWidth(below), Math.max(0, room - 8));
  const shownTitle = fit(title, Math.min(room - belowRoom, displayWidth(title)));
  const shown = shownTitle + fit(below, belowRoom);
  const blank = ' '.repeat(Math.max(0, room - displayWidth(shown)));
  return (
    paint('muted', branch) +
    paint(nameLook(event), shownTitle) +
    paint(node.failuresBelow > 0 ? 'error' : 'muted', shown.slice(shownTitle.length)) +
    blank
  );
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
  theme: Theme,
  columns: TraceColumns,
  totalMs: number,
  width: number,
): string {
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
  return theme.paint('heading', fit(line, width));
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
