import type { Column } from '../../panes/pane.js';

export type PlacedColumn<Row> = { column: Column<Row>; width: number };

/** Blanks between two columns: one where every column of the screen counts. */
export function columnGap(width: number): number {
  return width < 84 ? 1 : 2;
}

/** A column that takes what is left is of no use when that is almost nothing. */
const comfortable = { share: 0.4, lessImportant: 0.25, most: 30 };

/**
 * The columns that fit into `width`, in their own order, with their widths. Priorities decide who
 * stays; what room is left goes to the columns without a largest width first. Depends on the
 * declaration and the width only, so that columns do not jump when rows change.
 */
export function placeColumns<Row>(
  columns: readonly Column<Row>[],
  width: number,
): PlacedColumn<Row>[] {
  const chosen: Column<Row>[] = [];
  const gap = columnGap(width);
  let used = -gap;
  const byPriority = columns.toSorted((a, b) => a.priority - b.priority);
  for (const column of byPriority) {
    const wanted = wantedWidth(column, width) + gap;
    if (used + wanted > width) continue;
    chosen.push(column);
    used += wanted;
  }
  const [first] = byPriority;
  if (chosen.length === 0 && first) return [{ column: first, width }];
  const placed = columns
    .filter((column) => chosen.includes(column))
    .map((column) => ({ column, width: wantedWidth(column, width) }));
  grow(placed, width - used);
  return placed;
}

function wantedWidth<Row>(column: Column<Row>, width: number): number {
  const { minWidth, maxWidth, title, priority } = column;
  const least = Math.max(minWidth, title.length);
  if (maxWidth !== undefined) return least;
  const share = priority === 1 ? comfortable.share : comfortable.lessImportant;
  return Math.max(least, Math.min(comfortable.most, Math.floor(width * share)));
}

/** A third to the columns with a limit, as far as they take it; the rest to those without. */
function grow<Row>(placed: PlacedColumn<Row>[], extra: number): void {
  const flexible = placed.filter(({ column }) => column.maxWidth === undefined);
  let left = extra;
  const budget = flexible.length > 0 ? Math.ceil(extra / 2) : extra;
  let share = budget;
  const limited = placed
    .filter(({ column, width }) => (column.maxWidth ?? 0) > width)
    .toSorted((a, b) => a.column.priority - b.column.priority);
  for (const [index, place] of limited.entries()) {
    const part = Math.ceil(share / (limited.length - index));
    const taken = Math.min(part, (place.column.maxWidth ?? place.width) - place.width);
    place.width += taken;
    share -= taken;
    left -= taken;
  }
  for (const [index, place] of flexible.entries()) {
    const part = Math.floor(left / (flexible.length - index));
    place.width += part;
    left -= part;
  }
}
