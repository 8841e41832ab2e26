import type { PaneId } from '../../panes/pane.js';
import type { Place, Rectangle } from './layout.js';

/** Rows a pane needs to be of use: border, summary, heading, two rows. */
const leastHeight = 6;

/**
 * The pane with the keys in full and every other as one line that sums it up, in the order of the
 * keys. Where lines do not fit the last ones are left out.
 */
export function accordion(panes: readonly PaneId[], area: Rectangle, focus: PaneId): Place[] {
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
