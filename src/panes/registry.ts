import { didYouMean } from '../core/nearest.js';
import { ConsoleError } from '../db/errors.js';
import type { RowKind } from '../maintenance/action.js';
import { activity } from './activity.js';
import { agentChains } from './agent-chains.js';
import { agents } from './agents.js';
import { archive } from './archive.js';
import type { Pane } from './contract/pane.js';
import { doctor } from './doctor.js';
import { endpoints } from './endpoints.js';
import { errors } from './errors.js';
import { indexUsage } from './index-usage.js';
import { maintenanceRuns } from './maintenance-runs.js';
import { models } from './models.js';
import { postgresql } from './postgresql.js';
import { recentTraces } from './recent-traces.js';
import { sessions } from './sessions.js';
import { slowHooks } from './slow-hooks.js';
import { tableSizes } from './table-sizes.js';
import { topPatterns } from './top-patterns.js';
import { usage } from './usage.js';

/** Every pane, in the order of the keys 1 to 9; those behind the ninth have none. Another one is a line here. */
const declared = [
  recentTraces,
  slowHooks,
  indexUsage,
  tableSizes,
  topPatterns,
  activity,
  agents,
  errors,
  endpoints,
  postgresql,
  models,
  usage,
  sessions,
  agentChains,
  maintenanceRuns,
  archive,
  doctor,
] as const;

export type PaneId = (typeof declared)[number]['id'];

/** A pane of the registry; its row type is known only to itself. */
export type AnyPane = Pane & { id: PaneId };

export const panes: readonly AnyPane[] = declared;

export const paneIds: readonly PaneId[] = panes.map(({ id }) => id);

/** The panes of the overview, until the reader chooses others. */
export const overviewPaneIds: readonly PaneId[] = panes
  .filter(({ isInOverview }) => isInOverview)
  .map(({ id }) => id);

/** The first of the overview: it has the focus at first. */
export const firstPaneId: PaneId = overviewPaneIds[0] ?? declared[0].id;

/** An id that is in use wins over the same id of an earlier version. */
const byId: ReadonlyMap<string, AnyPane> = new Map([
  ...panes.flatMap((pane) => (pane.formerIds ?? []).map((id) => [id, pane] as const)),
  ...panes.map((pane) => [pane.id, pane] as const),
]);

/** A pane by its id, or by one that it had in an earlier version. */
export function findPane(id: unknown): AnyPane | undefined {
  return typeof id === 'string' ? byId.get(id) : undefined;
}

/** A pane by an id from a file of an earlier version, in which a former id has its former meaning. */
export function findPaneOfEarlier(id: unknown): AnyPane | undefined {
  return panes.find(({ formerIds }) => formerIds?.some((each) => each === id)) ?? findPane(id);
}

/** @throws ConsoleError `usage`, naming the panes there are. */
export function paneById(id: string): AnyPane {
  const pane = findPane(id);
  if (!pane) {
    const meant = didYouMean(id, paneIds);
    throw new ConsoleError('usage', `There is no pane "${id}".`, {
      hint: `${meant}Panes: ${paneIds.join(', ')}`,
    });
  }
  return pane;
}

/** The pane whose rows stand for this. */
export function findPaneOfRows(rows: RowKind): AnyPane | undefined {
  return panes.find(({ rowsAre }) => rowsAre === rows);
}

/** The key that leads to a pane. */
export function paneKey(id: PaneId): string | undefined {
  const number = paneIds.indexOf(id) + 1;
  return number <= 9 ? String(number) : undefined;
}
