import type { AnyPane, PaneId } from '../../panes/pane.js';

/** What the reader did with one pane. */
export type PaneView = {
  /** The chosen row's identity; null as long as nobody moved: the cursor then stays at its place. */
  key: string | null;
  /** Where the cursor is, or was when its row disappeared. */
  index: number;
  /** Position of the sort in the pane's declaration. */
  sort: number;
  reversed: boolean;
  /** Which rows are shown; '' shows all. Always one that can be read. */
  filter: string;
  /** Identities of the marked rows. */
  marks: ReadonlySet<string>;
  /** How many columns behind the first are scrolled out to the left. */
  shift: number;
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
  marks: new Set(),
  shift: 0,
  follow: true,
  seen: 0,
};

/** Newest last, and followed: the activity. */
export function isTail({ id }: { id: PaneId }): boolean {
  return id === 'activity';
}

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
  if (isTail(pane) && view.follow) return { index: rows.length - 1, gone: false };
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
  const leaves = isTail(pane) && view.follow && !atEnd;
  return {
    ...view,
    index: place,
    key: row ? pane.rowKey(row) : null,
    follow: isTail(pane) ? atEnd : view.follow,
    seen: leaves ? seen : view.seen,
  };
}

/** Position of the first row shown, so that the cursor is in view and the window moves little. */
export function scrollTop(
  top: number,
  cursor: number | undefined,
  height: number,
  count: number,
): number {
  const last = Math.max(0, count - height);
  let next = Math.min(Math.max(top, 0), last);
  if (cursor === undefined || height <= 0) return next;
  if (cursor < next) next = cursor;
  if (cursor >= next + height) next = cursor - height + 1;
  return Math.min(Math.max(next, 0), last);
}
