/** How the keys move a cursor: by rows, by pages, or to an end. */
export type Movement = { rows?: number; pages?: number; to?: 'first' | 'last' };

/** Where a list is scrolled to, and how many rows are in view: told by what draws it, drawn from by nobody else. */
export type ScrollPlace = { top: number; height: number };

export function moved(index: number, by: Movement, count: number, { height }: ScrollPlace): number {
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
