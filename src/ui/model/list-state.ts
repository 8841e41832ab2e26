import { mostRowsAtOnce, positionOf, rowsAPage } from '../../panes/contract/listing.js';
import type { ListRequest, Opened, OpenedList } from '../../panes/contract/opening.js';

/** How the keys move a cursor: by rows, by pages, or to an end. */
export type Movement = { rows?: number; pages?: number; to?: 'first' | 'last' };

/** Where a list is scrolled to: the first row in view, and how many rows are in view. */
export type Scroll = { top: number; height: number };

/** The position after a movement, clamped to the rows there are; a page keeps one row in view. */
export function moved(index: number, by: Movement, count: number, height: number): number {
  const last = Math.max(0, count - 1);
  const page = Math.max(1, height - 1);
  const wanted =
    by.to === undefined
      ? index + (by.rows ?? 0) + page * (by.pages ?? 0)
      : by.to === 'first'
        ? 0
        : last;
  return Math.min(Math.max(0, wanted), last);
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

/** Of a list: its rows, and which one is chosen. */
export type ListState = {
  /** With the rows of all pages that were read. */
  opened: OpenedList;
  /** What the reader asks for; the rows are of an earlier request until it is read. */
  wanted: Pick<ListRequest, 'filter' | 'failedOnly' | 'sort'>;
  /** The page behind the last row is asked for. */
  wantsMore: boolean;
  index: number;
  /** The user has moved the cursor: it follows its row. Until then it stays at its position. */
  hasChosen: boolean;
  /** Where it was scrolled to when the cursor was moved last. */
  top: number;
  /** Identities of the marked rows. */
  marks: ReadonlySet<string>;
  /** How many columns behind the first are scrolled out to the left. */
  shift: number;
};

export function listState(opened: OpenedList): ListState {
  const { filter, failedOnly, sort } = opened.paging.request;
  return {
    opened,
    wanted: { filter, failedOnly, sort },
    wantsMore: false,
    index: 0,
    hasChosen: false,
    top: 0,
    marks: new Set(),
    shift: 0,
  };
}

export function chosenRow({ opened, index }: ListState): object | undefined {
  return opened.rows[index];
}

/** What is to be read next: the page behind the last row, or the rows that are there once more. */
export function nextRequest({ opened, wanted, wantsMore }: ListState): ListRequest {
  const last = opened.rows.at(-1);
  const after = wantsMore && last ? positionOf(last) : undefined;
  if (after) return { ...wanted, limit: rowsAPage, after };
  const limit = Math.min(mostRowsAtOnce, Math.max(rowsAPage, opened.rows.length));
  return { ...wanted, limit };
}

/** The state after a reading: the next page, or the same rows again. The answer to an outdated request is ignored. */
export function withReading(state: ListState, read: OpenedList): ListState {
  const { wanted, opened } = state;
  const { request } = read.paging;
  if (!isSame(request, wanted)) return state;
  if (request.after) {
    const rows = [...opened.rows, ...read.rows];
    const paging = { ...opened.paging, hasMore: read.paging.hasMore };
    return { ...state, opened: { ...opened, rows, paging }, wantsMore: false };
  }
  const isOther = !isSame(opened.paging.request, wanted);
  return withChosen(state, isOther ? read : withRowsBehind(read, opened));
}

function isSame(a: ListState['wanted'], b: ListState['wanted']): boolean {
  return a.filter === b.filter && a.failedOnly === b.failedOnly && a.sort === b.sort;
}

/** The newest reading, and behind its last row those that earlier pages have. */
function withRowsBehind(read: OpenedList, before: OpenedList): OpenedList {
  const last = read.rows.at(-1);
  if (!read.paging.hasMore || !last) return read;
  const key = read.rowKey(last);
  const at = before.rows.findLastIndex((row) => before.rowKey(row) === key);
  const behind = at < 0 ? [] : before.rows.slice(at + 1);
  if (behind.length === 0) return read;
  const { hasMore } = before.paging;
  return { ...read, rows: [...read.rows, ...behind], paging: { ...read.paging, hasMore } };
}

/** The chosen row stays chosen, on the line of the screen where it is. */
function withChosen(state: ListState, opened: OpenedList): ListState {
  const row = state.hasChosen ? chosenRow(state) : undefined;
  const key = row && opened.rowKey(row);
  const found = opened.rows.findIndex((candidate) => opened.rowKey(candidate) === key);
  const last = Math.max(0, opened.rows.length - 1);
  const index = found < 0 ? Math.min(state.index, last) : found;
  return { ...state, opened, index, top: Math.max(0, state.top + index - state.index) };
}

/** All rows of a list from the first on, as many at a time as one reading has at most. */
export async function* pagesOf(
  read: (list: ListRequest) => Promise<Opened>,
  wanted: ListState['wanted'],
): AsyncGenerator<OpenedList, void, undefined> {
  let after: ListRequest['after'];
  do {
    const page = await read({ ...wanted, limit: mostRowsAtOnce, after });
    if (page.kind !== 'list') return;
    yield page;
    const last = page.rows.at(-1);
    after = page.paging.hasMore && last ? positionOf(last) : undefined;
  } while (after);
}
