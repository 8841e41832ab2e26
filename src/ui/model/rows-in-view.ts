import { parseFilter, type Filter } from '../../panes/filter.js';
import { sortRows } from '../../panes/cells.js';
import type { AnyPane } from '../../panes/pane.js';
import type { PaneView } from './pane-view.js';

type Choice = Pick<PaneView, 'sort' | 'reversed' | 'filter'>;
type Shown = Choice & { rows: readonly object[] };

const cache = new WeakMap<readonly object[], Shown>();
const filters = new WeakMap<AnyPane, { text: string; filter: Filter | undefined }>();

/**
 * The rows that pass the filter, in the chosen order; made once for each reading.
 *
 * @param nowMs the server's clock at the reading, for ages
 */
export function rowsInView(
  pane: AnyPane,
  rows: readonly object[],
  { sort, reversed, filter }: Choice,
  nowMs: number,
): readonly object[] {
  const chosen = pane.sorts[sort] ?? pane.sorts[0];
  // Rows arrive in the order of the first sort.
  const isSorted = chosen === pane.sorts[0] && !reversed;
  if (isSorted && filter === '') return rows;
  const known = cache.get(rows);
  if (known?.sort === sort && known.reversed === reversed && known.filter === filter) {
    return known.rows;
  }
  const wanted = filterOf(pane, filter);
  const passed = wanted ? rows.filter((row) => wanted.matches(row, { nowMs })) : rows;
  const shown = isSorted ? passed : sortRows(passed, chosen, reversed);
  cache.set(rows, { sort, reversed, filter, rows: shown });
  return shown;
}

/** Read once for each text. A view holds only filters that could be read. */
function filterOf(pane: AnyPane, text: string): Filter | undefined {
  const known = filters.get(pane);
  if (known?.text === text) return known.filter;
  const parsed = parseFilter(text, pane);
  const filter = 'filter' in parsed ? parsed.filter : undefined;
  filters.set(pane, { text, filter });
  return filter;
}
