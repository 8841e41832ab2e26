import type { PaneId } from '../../panes/pane.js';
import { accordion } from './accordion.js';
import { grid } from './grid.js';
import { stack } from './stack.js';

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
 * - else the pane that has the keys, and one line for each of the others.
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
