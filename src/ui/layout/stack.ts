import type { PaneId } from '../../panes/pane.js';
import type { Place, Rectangle } from './layout.js';
import { shares } from './shares.js';

/** Panes with many rows get more of the height. */
const weights: Partial<Record<PaneId, number>> = { 'recent-traces': 1.2, activity: 1.6 };

/** All panes below each other: a tall narrow screen. */
export function stack(panes: readonly PaneId[], area: Rectangle): Place[] {
  const heights = shares(
    area.height,
    panes.map((id) => weights[id] ?? 1),
  );
  let y = area.y;
  return panes.map((id, index) => {
    const height = heights[index] ?? 0;
    const place = { id, kind: 'full', x: area.x, y, width: area.width, height } as const;
    y += height;
    return place;
  });
}
