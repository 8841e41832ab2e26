import { sortRows } from '../../panes/cells.js';
import type { AnyPane } from '../../panes/pane.js';
import type { PaneView } from './pane-view.js';

type Sorted = { sort: number; reversed: boolean; rows: readonly object[] };

const cache = new WeakMap<readonly object[], Sorted>();

/** The rows in the chosen order; sorted once for each reading. */
export function sortedRows(
  pane: AnyPane,
  rows: readonly object[],
  { sort, reversed }: Pick<PaneView, 'sort' | 'reversed'>,
): readonly object[] {
  const chosen = pane.sorts[sort] ?? pane.sorts[0];
  // Rows arrive in the order of the first sort.
  if (chosen === pane.sorts[0] && !reversed) return rows;
  const known = cache.get(rows);
  if (known?.sort === sort && known.reversed === reversed) return known.rows;
  const sorted = sortRows(rows, chosen, reversed);
  cache.set(rows, { sort, reversed, rows: sorted });
  return sorted;
}
