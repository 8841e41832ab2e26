import type { TraceEvent } from '../../../src/panes/trace/event.js';
import { buildTree, type TraceTree } from '../../../src/panes/trace/tree.js';

/** `name`, whom it belongs to, when it starts and how long it takes, in milliseconds. */
export type Made = [name: string, parent: string | null, startMs: number, tookMs: number | null];

export function eventMade(
  [name, parentId, offsetMs, durationMs]: Made,
  changes: Partial<TraceEvent> = {},
): TraceEvent {
  return {
    key: name,
    kind: 'trace',
    id: name,
    traceId: name,
    correlationId: name,
    parentId,
    name,
    status: 'completed',
    outcome: 'ok',
    startedUs: 1_000 * offsetMs,
    offsetMs,
    durationMs,
    archived: false,
    details: {},
    ...changes,
  };
}

export function treeMade(events: readonly TraceEvent[], nowMs = 0): TraceTree {
  const tree = buildTree(events, { askedId: null, nowUs: 1_000 * nowMs, isCut: false });
  if (!tree) throw new Error('a tree needs events');
  return tree;
}

export function treeOf(...made: Made[]): TraceTree {
  return treeMade(made.map((one) => eventMade(one)));
}
