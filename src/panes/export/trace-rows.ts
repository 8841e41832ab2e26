import { eventText, eventTitle, kindWords } from '../trace/event.js';
import type { TraceTree } from '../trace/tree.js';

/** An event of a trace as `trace --json` prints it and CSV has it; times in milliseconds. */
export type TraceRow = {
  kind: string;
  id: string;
  parentId: string | null;
  depth: number;
  event: string;
  status: string | null;
  outcome: string;
  startedAt: Date | null;
  offsetMs: number;
  durationMs: number | null;
  /** In which the whole waited for it and for none of its children. */
  ownMs: number;
  archived: boolean;
  text: string;
  details: Readonly<Record<string, unknown>>;
};

export function traceRows(tree: TraceTree): TraceRow[] {
  return tree.nodes.map((node) => {
    const { event, depth, startMs, ownMs } = node;
    return {
      kind: kindWords[event.kind],
      id: event.id,
      parentId: node.parent?.event.id ?? null,
      depth,
      event: eventTitle(event),
      status: event.status,
      outcome: event.outcome,
      startedAt: event.startedUs === null ? null : new Date(event.startedUs / 1000),
      offsetMs: startMs,
      durationMs: event.durationMs,
      ownMs: Math.round(ownMs),
      archived: event.archived,
      text: eventText(event),
      details: event.details,
    };
  });
}

/** The whole trace for programs. */
export function traceJson(tree: TraceTree): object {
  const { asked, totalMs, failures, running, inputTokens, outputTokens, costUsd } = tree;
  return {
    correlationId: asked.event.correlationId,
    status: asked.event.status,
    totalMs,
    failures,
    running,
    inputTokens,
    outputTokens,
    costUsd,
    isCut: tree.isCut,
    events: traceRows(tree),
  };
}
