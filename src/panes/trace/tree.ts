import { detailNumber, detailText, eventTitle, isModelCall, type TraceEvent } from './event.js';

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
  /** The end; while it runs, the current time. */
  endMs: number;
  /** The spans in which the whole tree waited for this event itself, and for none of its children. */
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
  /** Uncached input; what models read in all is the sum of it, of what came from a cache and of what was written to one. */
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
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
    cacheReadTokens: sum(tokens('cache_read_tokens')),
    cacheWriteTokens: sum(tokens('cache_creation_tokens')),
    outputTokens: sum(tokens('output_tokens')),
    costUsd: sum(tokens('cost_usd')),
    early: ordered.filter(isEarly).length,
    asOfUs: nowUs,
    isCut,
  };
}

/** How the time of the whole was spent; milliseconds. Together they are the whole. */
export type TraceTimes = {
  thinking: number;
  tools: number;
  hooks: number;
  user: number;
  /** In which the agent waited for its subagents, whatever these did. */
  subagents: number;
  others: number;
  /** In which nothing is known to have run. */
  unknown: number;
};

/** Tools that are the work of a subagent, seen from the agent that waits for it. */
const subagentTools: ReadonlySet<string> = new Set([
  ...['Task', 'Agent', 'spawn_agent', 'wait', 'wait_agent', 'delegate_to_agent', 'TaskOutput'],
]);

/** Tools and events that ask the user: while they last, the agent waits for the user. */
const askingTools: ReadonlySet<string> = new Set([
  'AskUserQuestion',
  'ExitPlanMode',
  'request_user_input',
]);
const askingEvents: ReadonlySet<string> = new Set([
  'PermissionRequest',
  'Notification',
  'Elicitation',
]);

/**
 * Where the time of an agent's trace went; undefined where no model was called in it. What a trace takes itself, beside
 * its tools and hooks, the agent thinks: not every source tells how long a call of a model took.
 */
export function timesOf({ nodes, totalMs }: TraceTree): TraceTimes | undefined {
  if (!nodes.some(({ event }) => isModelCall(event))) return undefined;
  const times: TraceTimes = {
    ...{ thinking: 0, tools: 0, hooks: 0, user: 0, subagents: 0, others: 0 },
    unknown: totalMs,
  };
  // Each stands before those below it.
  const ofSubagents = new Set<TraceNode>();
  for (const node of nodes) {
    const { event, parent, ownMs } = node;
    const isBelow = parent !== undefined && (event.kind === 'trace' || ofSubagents.has(parent));
    if (isBelow) ofSubagents.add(node);
    times[isBelow ? 'subagents' : workOf(event)] += ownMs;
    times.unknown -= ownMs;
  }
  // Sums of fractions.
  if (times.unknown < 0.5) times.unknown = 0;
  return times;
}

function workOf(event: TraceEvent): keyof TraceTimes {
  switch (event.kind) {
    case 'trace':
      return 'thinking';
    case 'endpoint_call':
      return isModelCall(event) ? 'thinking' : 'others';
    case 'hook': {
      const type = detailText(event, 'type') ?? '';
      const tool = detailText(event, 'tool') ?? '';
      if (askingEvents.has(type) || askingTools.has(tool)) return 'user';
      if (type === 'ToolUse' && subagentTools.has(tool)) return 'subagents';
      return type === 'ToolUse' ? 'tools' : 'hooks';
    }
    case 'routing_decision':
      return 'others';
  }
}

/** Whether it starts before its parent by more than clocks usually differ. */
export function isEarly({ startMs, parent }: TraceNode): boolean {
  return parent !== undefined && startMs < parent.startMs - 1;
}

function nodeOf(event: TraceEvent, nowUs: number): TraceNode {
  const { offsetMs, durationMs, startedUs, outcome } = event;
  const sinceStartMs = Number.isFinite(startedUs) ? (nowUs - (startedUs ?? nowUs)) / 1000 : 0;
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

/** Hangs every node below its parent; those without one, and one of each circle of parents, are the roots. */
function link(nodes: readonly TraceNode[]): TraceNode[] {
  const parents = new Map<string, TraceNode>();
  for (const node of nodes) {
    const { kind, id, archived } = node.event;
    if (kind !== 'trace' && kind !== 'hook') continue;
    parents.set(`${id} ${archived}`, node);
    if (!parents.has(id)) parents.set(id, node);
  }
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
    }
  }
  openCircles(nodes);
  return nodes.filter(({ parent }) => parent === undefined);
}

/** Breaks circles of parents: of each one event becomes a root, since otherwise none of them would be shown. */
function openCircles(nodes: readonly TraceNode[]): void {
  const reachedFrom = new Map<TraceNode, TraceNode>();
  for (const node of nodes) {
    let at: TraceNode | undefined = node;
    for (; at && !reachedFrom.has(at); at = at.parent) reachedFrom.set(at, node);
    if (!at?.parent || reachedFrom.get(at) !== node) continue;
    const { children } = at.parent;
    children.splice(children.indexOf(at), 1);
    at.parent = undefined;
  }
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

/** The title of an event in its tree: that of a trace includes the agent that took it over. */
export function nodeTitle({ event, agent }: TraceNode, short = false): string {
  const title = eventTitle(event, short);
  return agent === undefined ? title : `${title} ${agent}`;
}

type Span = { startMs: number; endMs: number };
type Work = Span & { node: TraceNode | undefined; children: readonly TraceNode[] };

/**
 * Gives each event the time in which the whole tree waited for it and for none of its children: backwards
 * from the end, always with the child that ended last. The own times of all events together are the length of
 * the tree, but for gaps in which nothing ran: so they say what made it slow.
 *
 * An event that outlives its parent, or starts before it (clocks differ, or it went on in the background),
 * widens what is looked at below its parent; the parent's own time stays inside the parent.
 */
export function markCriticalPath(roots: readonly TraceNode[], totalMs: number): void {
  const hulls = hullsOf(roots);
  const hullOf = (node: TraceNode): Span => hulls.get(node) ?? node;
  const stack: Work[] = [{ node: undefined, children: roots, startMs: 0, endMs: totalMs }];
  for (let work = stack.pop(); work; work = stack.pop()) {
    const { node, startMs, endMs } = work;
    const own: [number, number][] = [];
    const addOwn = (from: number, until: number) => {
      if (!node) return;
      const clipped: [number, number] = [Math.max(from, node.startMs), Math.min(until, node.endMs)];
      if (clipped[1] > clipped[0]) own.push(clipped);
    };
    const lastEndFirst = work.children.toSorted((a, b) => hullOf(b).endMs - hullOf(a).endMs);
    let until = endMs;
    for (const child of lastEndFirst) {
      const hull = hullOf(child);
      const childEnd = Math.min(hull.endMs, until);
      const childStart = Math.max(hull.startMs, startMs);
      if (childEnd <= childStart) continue;
      addOwn(childEnd, until);
      stack.push({ node: child, children: child.children, startMs: childStart, endMs: childEnd });
      until = childStart;
    }
    addOwn(startMs, until);
    if (!node) continue;
    node.ownSpans = own.reverse();
    node.ownMs = own.reduce((sum, [from, end]) => sum + end - from, 0);
  }
}

/** From the first start to the last end of an event and all below it. */
function hullsOf(roots: readonly TraceNode[]): Map<TraceNode, Span> {
  const ordered: TraceNode[] = [];
  const stack = [...roots];
  for (let node = stack.pop(); node; node = stack.pop()) {
    ordered.push(node);
    for (const child of node.children) stack.push(child);
  }
  const hulls = new Map<TraceNode, Span>();
  for (const node of ordered.reverse()) {
    const hull = { startMs: node.startMs, endMs: node.endMs };
    for (const child of node.children) {
      const below = hulls.get(child) ?? child;
      hull.startMs = Math.min(hull.startMs, below.startMs);
      hull.endMs = Math.max(hull.endMs, below.endMs);
    }
    hulls.set(node, hull);
  }
  return hulls;
}
