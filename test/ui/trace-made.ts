import type { TraceTree } from '../../src/panes/trace/tree.js';
import { traceState, type TraceState } from '../../src/ui/model/trace-state.js';
import { TraceView } from '../../src/ui/views/trace.js';

/** A tree as Enter opens it. */
export function traceMade(tree: TraceTree, select?: string): TraceState {
  return traceState({ kind: 'trace', title: 'Trace 1', tree, select, open: () => undefined });
}

export function traceViewMade(tree: TraceTree): TraceView {
  const opening = { title: 'Trace', read: () => Promise.reject(new Error('not read here')) };
  return new TraceView({ id: 1, opening }, traceMade(tree));
}
