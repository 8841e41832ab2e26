import type { OpenedTrace } from '../../panes/opening.js';
import type { TraceNode, TraceTree } from '../../panes/trace/tree.js';
import type { ScrollPlace } from './cursor.js';
import type { Search } from './search.js';
import type { OpenedBy } from './views.js';

/** `time`: the tree as it ran. `slowest`: every event by the time the whole waited for it. */
export type TraceOrder = 'time' | 'slowest';

/** A trace's tree over the panes: which rows there are, and which one is chosen. */
export type TraceView = OpenedBy & {
  kind: 'trace';
  opened: OpenedTrace;
  order: TraceOrder;
  /** Keys of the events whose children are hidden. */
  folded: ReadonlySet<string>;
  /** What can be scrolled to; of 10,000 events it is made when it changes, not when it is drawn. */
  rows: readonly TraceNode[];
  index: number;
  place: ScrollPlace;
  search?: Search | undefined;
};

export function traceView(by: OpenedBy, opened: OpenedTrace): TraceView {
  const rows = opened.tree.nodes;
  const view: TraceView = {
    ...by,
    kind: 'trace',
    opened,
    order: 'time',
    folded: new Set(),
    rows,
    index: 0,
    place: { top: 0, height: 1 },
  };
  const { select } = opened;
  return select === undefined ? view : choose(view, select);
}

/** The chosen event. */
export function chosenNode({ rows, index }: TraceView): TraceNode | undefined {
  return rows[index];
}

/** The same view of a later reading: what was chosen and folded stays so. */
export function refreshed(view: TraceView, opened: OpenedTrace): TraceView {
  return withRows({ ...view, opened }, chosenNode(view)?.event.key);
}

/** The other order; the chosen event stays chosen, but for the slowest, which are looked for from the top. */
export function reordered(view: TraceView): TraceView {
  const order = view.order === 'time' ? 'slowest' : 'time';
  const key = order === 'time' ? chosenNode(view)?.event.key : undefined;
  return withRows({ ...view, order, index: 0 }, key);
}

/** Hides or shows what is below the chosen event; `to` undefined: the other of the two. */
export function folded(view: TraceView, to?: 'folded' | 'unfolded'): TraceView {
  const node = chosenNode(view);
  if (!node || node.children.length === 0 || view.order !== 'time') return view;
  const { key } = node.event;
  const isFolded = view.folded.has(key);
  const wanted = to === undefined ? !isFolded : to === 'folded';
  if (wanted === isFolded) return view;
  const next = new Set(view.folded);
  if (wanted) next.add(key);
  else next.delete(key);
  return withRows({ ...view, folded: next }, key);
}

/** Folds every trace below the first, or unfolds all. */
export function foldedAll(view: TraceView): TraceView {
  if (view.order !== 'time') return view;
  const parents = view.opened.tree.nodes.filter(
    ({ depth, children }) => depth > 0 && children.length > 0,
  );
  const all = view.folded.size > 0 ? [] : parents.map(({ event }) => event.key);
  return withRows({ ...view, folded: new Set(all) }, chosenNode(view)?.event.key);
}

/** The event that the chosen one belongs to. */
export function toParent(view: TraceView): TraceView {
  const parent = chosenNode(view)?.parent;
  return parent ? choose(view, parent.event.key) : view;
}

/** The next failure, also one that is folded away; undefined when there is none. */
export function toFailure(view: TraceView, step: 1 | -1): TraceView | undefined {
  const { tree } = view.opened;
  const all = view.order === 'time' ? tree.nodes : view.rows;
  const here = chosenNode(view);
  const start = here ? all.indexOf(here) : 0;
  for (let n = 1; n <= all.length; n++) {
    const node = all[(start + step * n + 2 * all.length) % all.length];
    if (node?.event.outcome === 'failed') return choose(view, node.event.key);
  }
  return undefined;
}

/** Chooses an event, unfolding what hides it. */
export function choose(view: TraceView, key: string): TraceView {
  const hiding = new Set(view.folded);
  for (let node = view.opened.tree.byKey.get(key)?.parent; node; node = node.parent) {
    hiding.delete(node.event.key);
  }
  if (hiding.size === view.folded.size) {
    const index = view.rows.findIndex(({ event }) => event.key === key);
    return index < 0 ? view : { ...view, index };
  }
  return withRows({ ...view, folded: hiding }, key);
}

function withRows(view: TraceView, key: string | undefined): TraceView {
  const { opened, order, folded: hidden } = view;
  const { tree } = opened;
  const rows = order === 'slowest' ? slowestFirst(tree) : unfoldedRows(tree, hidden);
  // An event that is hidden now is stood for by the nearest one that hides it.
  let index = -1;
  for (
    let node = key === undefined ? undefined : tree.byKey.get(key);
    node && index < 0;
    node = node.parent
  ) {
    index = rows.indexOf(node);
  }
  if (index < 0) index = Math.min(view.index, Math.max(0, rows.length - 1));
  return { ...view, rows, index };
}

function slowestFirst({ nodes }: TraceTree): TraceNode[] {
  const lengthOf = ({ startMs, endMs }: TraceNode) => endMs - startMs;
  return nodes.toSorted((a, b) => b.ownMs - a.ownMs || lengthOf(b) - lengthOf(a));
}

function unfoldedRows({ nodes }: TraceTree, hidden: ReadonlySet<string>): readonly TraceNode[] {
  if (hidden.size === 0) return nodes;
  const rows: TraceNode[] = [];
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index];
    if (!node) continue;
    rows.push(node);
    if (hidden.has(node.event.key)) index += node.below;
  }
  return rows;
}
