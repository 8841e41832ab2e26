import { eventText } from '../../../panes/trace/event.js';
import type { TraceNode } from '../../../panes/trace/tree.js';
import { safeBlock } from '../../../terminal/sanitise.js';
import { fit } from '../../../terminal/width.js';
import { wrapWithin } from '../../../terminal/wrap.js';
import { scrollTop } from '../../model/pane-view.js';
import { chosenNode, type TraceView } from '../../model/trace-view.js';
import type { Theme } from '../../theme.js';
import { drawSegments } from '../segments.js';
import { traceColumns } from './columns.js';
import { drawTraceHeading, drawTraceRow } from './rows.js';
import { causesOf, chosenSegments, totalsOf } from './summary.js';

export type DrawnTrace = { lines: string[]; top: number; visibleRows: number };

type Size = { width: number; height: number };

/**
 * A trace's tree: what it comes to, its events on one time axis, and the chosen one. Only the rows in
 * view are drawn, so that 10,000 events scroll as fast as ten.
 */
export function drawTrace(theme: Theme, view: TraceView, { width, height }: Size): DrawnTrace {
  const { rows, index, order, folded, opened } = view;
  const { tree } = opened;
  const above = [
    drawSegments(theme, totalsOf(tree), width, ' · '),
    ...causesOf(tree)
      .slice(0, height >= 14 ? 2 : height >= 8 ? 1 : 0)
      .map((line) => drawSegments(theme, line, width, ' · ')),
  ];
  const columns = traceColumns(width);
  const heading = drawTraceHeading(theme, columns, tree.totalMs, width);
  const chosen = chosenNode(view);
  const below = chosen ? drawChosen(theme, chosen, { width, height: footHeight(height) }) : [];
  const visibleRows = Math.max(1, height - above.length - 1 - below.length);
  const top = scrollTop(view.place.top, index, visibleRows, rows.length);
  const drawn = rows.slice(top, top + visibleRows).map((node, row) =>
    drawTraceRow(theme, node, {
      tree,
      columns,
      width,
      asTree: order === 'time',
      isFolded: folded.has(node.event.key) && order === 'time',
      selected: top + row === index,
    }),
  );
  const blank = ' '.repeat(width);
  const filling = Array.from({ length: visibleRows - drawn.length }, () => blank);
  return { lines: [...above, heading, ...drawn, ...filling, ...below], top, visibleRows };
}

function footHeight(height: number): number {
  if (height < 12) return 0;
  if (height < 24) return 2;
  return height < 40 ? 3 : 5;
}

/** The chosen event under a rule: its figures, then its error or what it worked on. */
function drawChosen(theme: Theme, node: TraceNode, { width, height }: Size): string[] {
  if (height === 0) return [];
  const text = safeBlock(eventText(node.event), { limit: 4 * width });
  const look = node.event.outcome === 'failed' ? 'error' : undefined;
  const lines = [
    theme.paint('border', '─'.repeat(width)),
    drawSegments(theme, chosenSegments(node), width, ' · '),
    ...(text === '' ? [] : wrapWithin(text, width, height - 2)).map((line) =>
      theme.paint(look, fit(line, width)),
    ),
  ];
  return [...lines, ...Array.from({ length: height - lines.length }, () => ' '.repeat(width))];
}
