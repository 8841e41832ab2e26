import { paneById, type PaneId } from '../../panes/registry.js';

export type Size = { columns: number; rows: number };
export type Rectangle = { x: number; y: number; width: number; height: number };

/** Where a pane is drawn: in full, or as one line that sums it up. */
export type Place = { id: PaneId; kind: 'full' | 'line' } & Rectangle;

export type LayoutName = 'grid' | 'stack' | 'accordion' | 'zoomed';
export type Layout = { name: LayoutName; places: readonly Place[] };

/** The screen below which nothing readable can be drawn. */
export const leastSize: Size = { columns: 40, rows: 10 };

export function isTooSmall({ columns, rows }: Size): boolean {
  return columns < leastSize.columns || rows < leastSize.rows;
}

/**
 * Places the panes in the area between header and key bar. Three layouts, each for a shape of screen:
 * - a grid of two columns where there is room for every pane beside another (from 110×27 for six);
 * - a stack of all panes on a tall narrow screen;
 * - else the focused pane, and one line for each of the others.
 */
export function placePanes(
  panes: readonly PaneId[],
  area: Rectangle,
  focus: PaneId,
  zoomed: boolean,
): Layout {
  if (zoomed) return { name: 'zoomed', places: [{ id: focus, kind: 'full', ...area }] };
  if (area.width >= 110 && area.height >= 9 * Math.ceil(panes.length / 2))
    return { name: 'grid', places: grid(panes, area) };
  if (area.height >= 6 * panes.length) return { name: 'stack', places: stack(panes, area) };
  return { name: 'accordion', places: accordion(panes, area, focus) };
}

const weightOfLastRow = 1.2;

/** Two columns, row by row in the order of the keys; a last single pane takes the whole row. */
function grid(panes: readonly PaneId[], area: Rectangle): Place[] {
  const rows: PaneId[][] = [];
  for (let index = 0; index < panes.length; index += 2) rows.push(panes.slice(index, index + 2));
  const weights = rows.map((_, index) => (index === rows.length - 1 ? weightOfLastRow : 1));
  const heights = shares(area.height, weights);
  let y = area.y;
  return rows.flatMap((row, index) => {
    const height = heights[index] ?? 0;
    const [left, right] = row;
    const top = y;
    y += height;
    if (!left) return [];
    const place = { kind: 'full', y: top, height } as const;
    if (!right) return [{ ...place, id: left, x: area.x, width: area.width }];
    const width = Math.round(area.width * (paneById(left).layout?.leftShare ?? 0.5));
    return [
      { ...place, id: left, x: area.x, width },
      { ...place, id: right, x: area.x + width, width: area.width - width },
    ];
  });
}

/** All panes below each other: a tall narrow screen. */
function stack(panes: readonly PaneId[], area: Rectangle): Place[] {
  const heights = shares(
    area.height,
    panes.map((id) => paneById(id).layout?.height ?? 1),
  );
  let y = area.y;
  return panes.map((id, index) => {
    const height = heights[index] ?? 0;
    const place = { id, kind: 'full', x: area.x, y, width: area.width, height } as const;
    y += height;
    return place;
  });
}

/** Rows that a pane needs to be of use: border, summary, heading, two rows. */
const leastHeight = 6;

/**
 * The focused pane in full and every other as one line that sums it up, in the order of the keys. Where
 * lines do not fit the last ones are left out.
 */
function accordion(panes: readonly PaneId[], area: Rectangle, focus: PaneId): Place[] {
  const others = panes.filter((id) => id !== focus);
  const lines = Math.max(0, Math.min(others.length, area.height - leastHeight));
  const shown = new Set([focus, ...others.slice(0, lines)]);
  let y = area.y;
  return panes
    .filter((id) => shown.has(id))
    .map((id) => {
      const height = id === focus ? area.height - lines : 1;
      const kind = id === focus ? 'full' : 'line';
      const place = { id, kind, x: area.x, y, width: area.width, height } as const;
      y += height;
      return place;
    });
}

/** Divides `total` by weights into whole numbers that add up to it. */
function shares(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  let before = 0;
  let given = 0;
  return weights.map((weight) => {
    before += weight;
    const end = Math.round((total * before) / sum);
    const share = end - given;
    given = end;
    return share;
  });
}
