import type { TraceNode } from '../../../panes/trace/tree.js';

/** The lines of the tree before an event's name, at most `width` columns: `│ ├▾ `. */
export function branchOf(node: TraceNode, isFolded: boolean, width: number): string {
  const hasChildren = node.children.length > 0;
  const sign = hasChildren ? (isFolded ? '▸' : '▾') : '─';
  if (!node.parent) return hasChildren ? `${sign} ` : '';
  let branch = `${node.isLast ? '└' : '├'}${sign} `;
  for (let above = node.parent; above.parent; above = above.parent) {
    // Of a deep tree the outermost lines give way.
    if (branch.length + 2 > width) return `…${branch.slice(1)}`;
    branch = (above.isLast ? '  ' : '│ ') + branch;
  }
  return branch;
}
