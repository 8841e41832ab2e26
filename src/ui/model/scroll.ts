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
