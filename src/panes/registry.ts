import { ConsoleError } from '../db/errors.js';
import { paneIds, type AnyPane, type PaneId } from './pane.js';
import { activity } from './activity.js';
import { agents } from './agents.js';
import { archive } from './archive.js';
import { agentChains } from './agent-chains.js';
import { doctor } from './doctor.js';
import { endpoints } from './endpoints.js';
import { errors } from './errors.js';
import { indexUsage } from './index-usage.js';
import { maintenanceRuns } from './maintenance-runs.js';
import { recentTraces } from './recent-traces.js';
import { sessions } from './sessions.js';
import { slowHooks } from './slow-hooks.js';
import { tableSizes } from './table-sizes.js';
import { topPatterns } from './top-patterns.js';

/** Adding a pane is adding its file, its id in `paneIds`, where its place is, and its line here. */
const declarations: Readonly<Record<PaneId, AnyPane>> = {
  'recent-traces': recentTraces,
  'slow-hooks': slowHooks,
  'index-usage': indexUsage,
  'table-sizes': tableSizes,
  'top-patterns': topPatterns,
  activity,
  agents,
  errors,
  endpoints,
  sessions,
  'agent-chains': agentChains,
  'maintenance-runs': maintenanceRuns,
  archive,
  doctor,
};

/** Every pane, in the order of the keys 1 to 9; those behind the ninth have none. */
export const panes: readonly AnyPane[] = paneIds.map((id) => declarations[id]);

/** The key that leads to a pane. */
export function paneKey(id: PaneId): string | undefined {
  const number = paneIds.indexOf(id) + 1;
  return number <= 9 ? String(number) : undefined;
}

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
