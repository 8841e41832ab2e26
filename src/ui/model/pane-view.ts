import { sortRows, type CellValue, type Sort } from '../../panes/contract/column.js';
import { parseFilter, type Filter } from '../../panes/contract/filter.js';
import { comparedPane } from '../../panes/reading/comparison.js';
import type { AnyPane } from '../../panes/registry.js';

const allSorts = new WeakMap<AnyPane, readonly Sort<object>[]>();

/** Every order of a pane: those that it declares, which one key steps through, then its other columns. */
export function sortsOf(pane: AnyPane): readonly Sort<object>[] {
  const known = allSorts.get(pane);
  if (known) return known;
  // A tail is newest last, whatever its columns are.
  const others = pane.isTail
    ? []
    : pane.columns.filter(({ id }) => !pane.sorts.some((sort) => sort.id === id));
  const sorts = [
    ...pane.sorts,
    ...others.map((column): Sort<object> => ({
      id: column.id,
      title: column.title || column.id,
      direction: column.format === 'text' ? 'asc' : 'desc',
      value: (row) => column.value(row),
    })),
  ];
  allSorts.set(pane, sorts);
  return sorts;
}

/** Rows that are looked at to find the column of an order: enough to tell two columns apart. */
const rowsCompared = 20;

/**
 * The column that shows what the rows were sorted by: of the order's name, or with its values in all rows that are there.
 * Undefined where none does, and in the usual order, for which the columns were chosen.
 */
export function sortedColumn(
  pane: AnyPane,
  rows: readonly object[],
  { sort }: Pick<PaneView, 'sort'>,
): string | undefined {
  const chosen = sortsOf(pane)[sort];
  if (sort === 0 || !chosen) return undefined;
  const named =
    pane.columns.find(({ id }) => id === chosen.id) ??
    pane.columns.find(({ id, title }) => title === chosen.id || id === `${chosen.id}Ms`);
  if (named) return named.id;
  const some = rows.slice(0, rowsCompared).filter((row) => chosen.value(row) !== null);
  const same = pane.columns.find((column) =>
    some.every((row) => Object.is(plain(column.value(row)), plain(chosen.value(row)))),
  );
  return some.length > 0 ? same?.id : undefined;
}

const plain = (value: CellValue) => (value instanceof Date ? value.getTime() : value);

/** What the user has chosen in one pane: cursor, order, filter, marks. */
export type PaneView = {
  /** The key of the row that the cursor follows; null until the user moves it: then it stays at its position. */
  key: string | null;
  /** Where the cursor is, or was when its row disappeared. */
  index: number;
  /** Position of the sort in {@link sortsOf}. */
  sort: number;
  reversed: boolean;
  /** What the reader chose of the pane's variants and groupings; absent: nothing. */
  variant?: string;
  grouping?: string;
  /** Which rows are shown; '' shows all. Always one that can be read. */
  filter: string;
  /** The row that was chosen before the filter hid it; a filter that shows it leads back to it. */
  hidden?: string | undefined;
  /** Where the rows were scrolled to when the cursor was moved last. */
  top: number;
  /** Identities of the marked rows. */
  marks: ReadonlySet<string>;
  /** How many columns behind the first are scrolled out to the left. */
  shift: number;
  /** The rows stand beside those of the window before. */
  compared?: boolean;
  /** Of a tail: keeps the newest row in view. */
  follow: boolean;
  /** Of a tail: how many events had been seen when it stopped following. */
  seen: number;
};

export const initialPaneView: PaneView = {
  key: null,
  index: 0,
  sort: 0,
  reversed: false,
  filter: '',
  top: 0,
  marks: new Set(),
  shift: 0,
  follow: true,
  seen: 0,
};

/** As a pane is without what was pressed in it, but for which rows were chosen: whoever names an order asks for its first row. */
export const freshPaneView: Omit<PaneView, 'variant' | 'grouping' | 'seen'> = {
  ...initialPaneView,
  hidden: undefined,
  compared: false,
};

/** Events seen since the start, of a tail. */
export function seenBy(extras: object | undefined): number {
  return extras && 'seen' in extras && typeof extras.seen === 'number' ? extras.seen : 0;
}

export type Cursor = {
  /** Position in the sorted rows; undefined without rows. */
  index: number | undefined;
  /** The chosen row is no longer there; the cursor stands where it was. */
  gone: boolean;
};

/** Finds the chosen row among the rows, wherever it has moved. */
export function findCursor(pane: AnyPane, rows: readonly object[], view: PaneView): Cursor {
  if (rows.length === 0) return { index: undefined, gone: view.key !== null };
  if (pane.isTail && view.follow) return { index: rows.length - 1, gone: false };
  const place = Math.min(Math.max(view.index, 0), rows.length - 1);
  if (view.key === null) return { index: place, gone: false };
  const here = rows[place];
  if (here && pane.rowKey(here) === view.key) return { index: place, gone: false };
  const index = rows.findIndex((row) => pane.rowKey(row) === view.key);
  return index < 0 ? { index: place, gone: true } : { index, gone: false };
}

/** The view after the cursor was moved to a position, clamped to the rows there are. */
export function moveTo(
  pane: AnyPane,
  rows: readonly object[],
  view: PaneView,
  index: number,
  seen: number,
): PaneView {
  if (rows.length === 0) return view;
  const place = Math.min(Math.max(index, 0), rows.length - 1);
  const row = rows[place];
  const atEnd = place === rows.length - 1;
  const leaves = pane.isTail && view.follow && !atEnd;
  return {
    ...view,
    index: place,
    key: row ? pane.rowKey(row) : null,
    hidden: undefined,
    follow: pane.isTail ? atEnd : view.follow,
    seen: leaves ? seen : view.seen,
  };
}

/** The view with another filter, and `rows` as it shows them: the cursor stays on its row, or is on the first where that is hidden. */
export function withFilter(
  pane: AnyPane,
  rows: readonly object[],
  view: PaneView,
  filter: string,
): PaneView {
  const key = view.key ?? view.hidden;
  if (key === undefined) return { ...view, filter };
  const index = rows.findIndex((row) => pane.rowKey(row) === key);
  return index < 0
    ? { ...view, filter, key: null, index: 0, top: 0, hidden: key }
    : { ...view, filter, key, index, hidden: undefined };
}

/** A pane as the reader has chosen to see it. */
export function shownPane(pane: AnyPane, view: PaneView): AnyPane {
  // It has the same id; only its columns and orders differ.
  return view.compared === true ? (comparedPane(pane) as AnyPane) : pane;
}

/** What the screen has to filter: nothing where the server has filtered the rows already. */
export function leftToFilter(view: PaneView, asked: string | undefined): PaneView {
  return asked !== undefined && asked === view.filter ? { ...view, filter: '' } : view;
}

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
  const chosen = sortsOf(pane)[sort] ?? pane.sorts[0];
  // Rows arrive in the order of the first sort.
  const isSorted = chosen === pane.sorts[0] && !reversed;
  if (isSorted && filter === '') return rows;
  const known = cache.get(rows);
  if (known?.sort === sort && known.reversed === reversed && known.filter === filter) {
    return known.rows;
  }
  const wanted = filterOf(pane, filter);
  const passed = wanted ? rows.filter((row) => wanted.matches(row, { nowMs })) : rows;
  const shown = isSorted ? passed : waitingFirst(pane, sortRows(passed, chosen, reversed));
  cache.set(rows, { sort, reversed, filter, rows: shown });
  return shown;
}

/** Rows that wait for somebody stand on top in every order. */
function waitingFirst(pane: AnyPane, rows: readonly object[]): readonly object[] {
  if (!pane.isWaiting) return rows;
  const isWaiting = (row: object) => pane.isWaiting?.(row) === true;
  return [...rows.filter(isWaiting), ...rows.filter((row) => !isWaiting(row))];
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
