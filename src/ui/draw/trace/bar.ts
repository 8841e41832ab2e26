import type { Outcome } from '../../../panes/trace/event.js';
import type { TraceNode } from '../../../panes/trace/tree.js';
import type { Look, Theme } from '../../theme.js';

/** Where on the time axis an event is: `█` while the whole waited for it, `━` beside that, `░` running. */
export type BarCells = { from: number; until: number; cells: string };

const signs = { own: '█', beside: '━', running: '░' } as const;

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
  const beside = node.event.outcome === 'running' ? signs.running : signs.beside;
  const cells = [...own].map((waited, index) => {
    const part = partOfCell(node.startMs * perMs, node.endMs * perMs, from + index);
    return waited > 0 && waited >= part / 2 ? signs.own : beside;
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

/** The bar as text of exactly `width` columns; plain on the chosen row. */
export function drawBar(
  theme: Theme,
  node: TraceNode,
  { totalMs, width, plain }: { totalMs: number; width: number; plain: boolean },
): string {
  const { from, until, cells } = barCells(node, totalMs, width);
  const { own, beside } = looks[node.event.outcome];
  const drawn = plain
    ? cells
    : cells.replace(/█+|[^█]+/g, (run) =>
        theme.paint(run.startsWith(signs.own) ? own : beside, run),
      );
  return ' '.repeat(from) + drawn + ' '.repeat(width - until);
}
