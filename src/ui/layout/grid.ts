import type { PaneId } from '../../panes/pane.js';
import type { Place, Rectangle } from './layout.js';
import { shares } from './shares.js';

/** Of a row: the left pane's share. Long texts (the tail) get more than tables of figures. */
const leftShare: Partial<Record<PaneId, number>> = { 'top-patterns': 0.42 };
const weightOfLastRow = 1.2;

/** Two columns, row by row in the order of the keys; a last single pane takes the whole row. */
export function grid(panes: readonly PaneId[], area: Rectangle): Place[] {
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
    const width = Math.round(area.width * (leftShare[left] ?? 0.5));
    return [
      { ...place, id: left, x: area.x, width },
      { ...place, id: right, x: area.x + width, width: area.width - width },
    ];
  });
}
