import type { TraceNode } from './tree.js';

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
