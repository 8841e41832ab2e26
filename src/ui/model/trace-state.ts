import type { OpenedTrace } from '../../panes/contract/opening.js';
import { mostTimelineEvents } from '../../panes/trace/trace-opening.js';
import type { TraceNode, TraceTree } from '../../panes/trace/tree.js';
import type { Search } from './search.js';

/** `time`: the tree as it ran. `slowest`: every event by the time the whole waited for it. */
export type TraceOrder = 'time' | 'slowest';

/** Of a trace's tree: which rows there are, and which one is chosen. */
export type TraceState = {
  opened: OpenedTrace;
  /** How many events are wanted, the first by time. */
  wanted: number;
  order: TraceOrder;
  /** Keys of the events whose children are hidden. */
  folded: ReadonlySet<string>;
  /** The rows in order. Kept in the state, because making them of 10,000 events for each frame would be slow. */
  rows: readonly TraceNode[];
  index: number;
  /** Where it was scrolled to when the cursor was moved last. */
  top: number;
  search?: Search | undefined;
};

export function traceState(opened: OpenedTrace): TraceState {
  const state: TraceState = {
    opened,
    wanted: mostTimelineEvents,
    order: 'time',
    folded: new Set(),
    rows: opened.tree.nodes,
    index: 0,
    top: 0,
  };
  const { select } = opened;
  return select === undefined ? state : choose(state, select);
}

/** The chosen event. */
export function chosenNode({ rows, index }: TraceState): TraceNode | undefined {
  return rows[index];
}

/** The most events of a trace that the console holds; SQL gives all of them. */
const mostEventsHeld = 5 * mostTimelineEvents;

/** How many are to be read next; undefined: all are there, or are being read, or no more are held. */
export function moreEvents({ opened, wanted }: TraceState): number | undefined {
  const { isCut, nodes } = opened.tree;
  if (!isCut || nodes.length < wanted || wanted >= mostEventsHeld) return undefined;
  return wanted + mostTimelineEvents;
}

/** After a reading of further events that failed: they can be asked for once more. */
export function notReadOn(state: TraceState): TraceState {
  const { isCut, nodes } = state.opened.tree;
  return isCut && nodes.length < state.wanted ? { ...state, wanted: nodes.length } : state;
}

/** The same state of a later reading: what was chosen and folded stays so. */
export function refreshed(state: TraceState, opened: OpenedTrace): TraceState {
  const { select } = opened;
  const isFound = select !== undefined && opened.tree.byKey.has(select);
  // The event to be chosen was not among the first ones, and came with this reading.
  if (isFound && state.index === 0 && !state.opened.tree.byKey.has(select)) {
    return choose(withRows({ ...state, opened }, undefined), select);
  }
  return withRows({ ...state, opened }, chosenNode(state)?.event.key);
}

/** Switches the order. Back in the tree the chosen event stays chosen; the slowest are shown from the top. */
export function reordered(state: TraceState): TraceState {
  const order = state.order === 'time' ? 'slowest' : 'time';
  const key = order === 'time' ? chosenNode(state)?.event.key : undefined;
  return withRows({ ...state, order, index: 0 }, key);
}

/** Hides or shows what is below the chosen event; `to` undefined: the other of the two. */
export function folded(state: TraceState, to?: 'folded' | 'unfolded'): TraceState {
  const node = chosenNode(state);
  if (!node || node.children.length === 0 || state.order !== 'time') return state;
  const { key } = node.event;
  const isFolded = state.folded.has(key);
  const wanted = to === undefined ? !isFolded : to === 'folded';
  if (wanted === isFolded) return state;
  const next = new Set(state.folded);
  if (wanted) next.add(key);
  else next.delete(key);
  return withRows({ ...state, folded: next }, key);
}

/** Folds every trace below the first, or unfolds all. */
export function foldedAll(state: TraceState): TraceState {
  if (state.order !== 'time') return state;
  const parents = state.opened.tree.nodes.filter(
    ({ depth, children }) => depth > 0 && children.length > 0,
  );
  const all = state.folded.size > 0 ? [] : parents.map(({ event }) => event.key);
  return withRows({ ...state, folded: new Set(all) }, chosenNode(state)?.event.key);
}

/** The event that the chosen one belongs to. */
export function toParent(state: TraceState): TraceState {
  const parent = chosenNode(state)?.parent;
  return parent ? choose(state, parent.event.key) : state;
}

/** The next failure, also one that is folded away; undefined when there is none. */
export function toFailure(state: TraceState, step: 1 | -1): TraceState | undefined {
  const { tree } = state.opened;
  const all = state.order === 'time' ? tree.nodes : state.rows;
  const here = chosenNode(state);
  const start = here ? all.indexOf(here) : 0;
  for (let n = 1; n <= all.length; n++) {
    const node = all[(start + step * n + 2 * all.length) % all.length];
    if (node?.event.outcome === 'failed') return choose(state, node.event.key);
  }
  return undefined;
}

/** Chooses an event, unfolding what hides it. */
export function choose(state: TraceState, key: string): TraceState {
  const hiding = new Set(state.folded);
  for (let node = state.opened.tree.byKey.get(key)?.parent; node; node = node.parent) {
    hiding.delete(node.event.key);
  }
  if (hiding.size === state.folded.size) {
    const index = state.rows.findIndex(({ event }) => event.key === key);
    return index < 0 ? state : { ...state, index };
  }
  return withRows({ ...state, folded: hiding }, key);
}

function withRows(state: TraceState, key: string | undefined): TraceState {
  const { opened, order, folded: hidden } = state;
  const { tree } = opened;
  const rows = order === 'slowest' ? slowestFirst(tree) : unfoldedRows(tree, hidden);
  // Where the chosen event is folded away, its nearest visible ancestor is chosen.
  let index = -1;
  for (
    let node = key === undefined ? undefined : tree.byKey.get(key);
    node && index < 0;
    node = node.parent
  ) {
    index = rows.indexOf(node);
  }
  if (index < 0) index = Math.min(state.index, Math.max(0, rows.length - 1));
  return { ...state, rows, index };
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
