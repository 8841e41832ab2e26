import { markCriticalPath } from './critical-path.js';
import { detailNumber, eventTitle, type TraceEvent } from './event.js';

/** An event in its place in the tree. Times in milliseconds from the first event's start. */
export type TraceNode = {
  event: TraceEvent;
  parent: TraceNode | undefined;
  /** In the order of their start. */
  children: TraceNode[];
  depth: number;
  /** Last among its siblings: how its line in the tree is drawn. */
  isLast: boolean;
  startMs: number;
  /** That of now while it runs. */
  endMs: number;
  /** When it itself was what the whole waited for: not one of its children, none beside it. */
  ownSpans: readonly (readonly [from: number, until: number])[];
  ownMs: number;
  /** Of a trace: the agent that its last routing decision chose. */
  agent: string | undefined;
  /** Events below it, and failures among them. */
  below: number;
  failuresBelow: number;
};

/** The tree that a trace belongs to, with what its events come to. */
export type TraceTree = {
  /** The trace that was asked for. */
  asked: TraceNode;
  roots: readonly TraceNode[];
  /** Depth first: each event before those below it. */
  nodes: readonly TraceNode[];
  byKey: ReadonlyMap<string, TraceNode>;
  /** From the start of the first event to the end of the last. */
  totalMs: number;
  failures: number;
  running: number;
  inputTokens: number;
  outputTokens: number;
  costUsd: number;
  /** Events that start before what they belong to: their writers' clocks differ. */
  early: number;
  /** The server's clock when it answered, microseconds since 1970. */
  asOfUs: number;
  /** Not every event was fetched. */
  isCut: boolean;
};

/** Builds the tree from its events in time order; undefined without events. */
export function buildTree(
  events: readonly TraceEvent[],
  { askedId, nowUs, isCut }: { askedId: string | null; nowUs: number; isCut: boolean },
): TraceTree | undefined {
  const nodes = events.map((event) => nodeOf(event, nowUs));
  const byKey = new Map(nodes.map((node) => [node.event.key, node]));
  const roots = link(nodes);
  const ordered = depthFirst(roots);
  const asked =
    nodes.find(({ event }) => event.kind === 'trace' && event.id === askedId) ?? roots[0];
  if (!asked) return undefined;
  const totalMs = nodes.reduce((end, { endMs }) => Math.max(end, endMs), 0);
  sumUp(ordered);
  markCriticalPath(roots, totalMs);
  const sum = (of: (event: TraceEvent) => number) =>
    events.reduce((total, event) => total + of(event), 0);
  const tokens = (name: string) => (event: TraceEvent) => detailNumber(event, name) ?? 0;
  return {
    asked,
    roots,
    nodes: ordered,
    byKey,
    totalMs,
    failures: sum(({ outcome }) => Number(outcome === 'failed')),
    running: sum(({ outcome }) => Number(outcome === 'running')),
    inputTokens: sum(tokens('input_tokens')),
    outputTokens: sum(tokens('output_tokens')),
    costUsd: sum(tokens('cost_usd')),
    early: ordered.filter(isEarly).length,
    asOfUs: nowUs,
    isCut,
  };
}

/** Starts before what it belongs to, by more than clocks are ever equal. */
export function isEarly({ startMs, parent }: TraceNode): boolean {
  return parent !== undefined && startMs < parent.startMs - 1;
}

function nodeOf(event: TraceEvent, nowUs: number): TraceNode {
  const { offsetMs, durationMs, startedUs, outcome } = event;
  const sinceStartMs = startedUs === null ? 0 : (nowUs - startedUs) / 1000;
  const lengthMs = durationMs ?? (outcome === 'running' ? Math.max(0, sinceStartMs) : 0);
  return {
    event,
    parent: undefined,
    children: [],
    depth: 0,
    isLast: true,
    startMs: offsetMs,
    endMs: offsetMs + lengthMs,
    ownSpans: [],
    ownMs: 0,
    agent: undefined,
    below: 0,
    failuresBelow: 0,
  };
}

/** Hangs every node below its parent; those without one are the roots. */
function link(nodes: readonly TraceNode[]): TraceNode[] {
  const parents = new Map<string, TraceNode>();
  for (const node of nodes) {
    const { kind, id, archived } = node.event;
    if (kind !== 'trace' && kind !== 'hook') continue;
    parents.set(`${id} ${archived}`, node);
    if (!parents.has(id)) parents.set(id, node);
  }
  const roots: TraceNode[] = [];
  for (const node of nodes) {
    const { parentId, archived } = node.event;
    const parent =
      parentId === null
        ? undefined
        : (parents.get(`${parentId} ${archived}`) ?? parents.get(parentId));
    if (parent && parent !== node) {
      node.parent = parent;
      if (node.event.kind === 'routing_decision') parent.agent = node.event.name;
      parent.children.push(node);
    } else {
      roots.push(node);
    }
  }
  return roots;
}

/** Without recursion: a chain of ten thousand delegations is deeper than the stack. */
function depthFirst(roots: readonly TraceNode[]): TraceNode[] {
  const ordered: TraceNode[] = [];
  const stack = roots.toReversed();
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { parent, children } = node;
    node.depth = parent ? parent.depth + 1 : 0;
    node.isLast = (parent?.children ?? roots).at(-1) === node;
    ordered.push(node);
    for (let index = children.length - 1; index >= 0; index--) {
      const child = children[index];
      if (child) stack.push(child);
    }
  }
  return ordered;
}

function sumUp(ordered: readonly TraceNode[]): void {
  for (let index = ordered.length - 1; index >= 0; index--) {
    const node = ordered[index];
    if (!node?.parent) continue;
    node.parent.below += node.below + 1;
    node.parent.failuresBelow += node.failuresBelow + Number(node.event.outcome === 'failed');
  }
}

/** What an event is called where its children are known: of a trace with the agent that took it over. */
export function nodeTitle({ event, agent }: TraceNode, short = false): string {
  const title = eventTitle(event, short);
  return agent === undefined ? title : `${title} ${agent}`;
}
