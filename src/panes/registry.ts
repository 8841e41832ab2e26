import { ConsoleError } from '../db/errors.js';
import { paneIds, type AnyPane } from './pane.js';
import { activity } from './activity.js';
import { indexUsage } from './index-usage.js';
import { recentTraces } from './recent-traces.js';
import { slowHooks } from './slow-hooks.js';
import { tableSizes } from './table-sizes.js';
import { topPatterns } from './top-patterns.js';

/** Every pane, in the order of the keys 1 to 9. Adding a pane is adding its file and a line here. */
export const panes: readonly AnyPane[] = [
  recentTraces,
  slowHooks,
  indexUsage,
  tableSizes,
  topPatterns,
  activity,
];

/** @throws ConsoleError `usage`, naming the panes there are. */
export function paneById(id: string): AnyPane {
  const pane = panes.find((candidate) => candidate.id === id);
  if (!pane) {
    throw new ConsoleError('usage', `There is no pane "${id}".`, {
      hint: `Panes: ${paneIds.join(', ')}`,
    });
  }
  return pane;
}
