import type { TraceTree } from '../../src/panes/trace/tree.js';
import { traceView, type TraceView } from '../../src/ui/model/trace-view.js';

/** A tree as Enter opens it. */
export function viewMade(tree: TraceTree, select?: string): TraceView {
  const opening = { title: 'Trace', read: () => Promise.reject(new Error('not read here')) };
  return traceView(
    { id: 1, opening },
    { kind: 'trace', title: 'Trace 1', tree, select, open: () => undefined },
  );
}
