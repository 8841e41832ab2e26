import type { Database } from '../../db/database.js';
import { findLeftovers } from '../../maintenance/reindex/leftovers.js';
import { findRunningBuilds } from '../../maintenance/reindex/running-builds.js';
import { formatDuration } from '../../shared/format/duration.js';

/** What an earlier console left: rebuilds that go on, and what broken ones have left. */
export type Unfinished = {
  /** Lines of a notice; empty: nothing runs. */
  running: string[];
  /** A line for the bottom of the screen. */
  leftovers: string | undefined;
};

/** Looked for once, at the start. */
export async function findUnfinished(database: Database): Promise<Unfinished> {
  const { schema } = database.capabilities;
  const builds = await findRunningBuilds(database);
  const leftovers = await database.transaction({ readOnly: true }, (tx) =>
    findLeftovers(tx, schema),
  );
  const [first] = leftovers;
  const several = leftovers.length === 1 ? '' : ` and ${leftovers.length - 1} more`;
  return {
    running: builds.map(
      ({ index, building, pid, seconds }) =>
        `${index} is being rebuilt, for ${formatDuration(1000 * seconds)} (pid ${pid}). :reindex on ${building} follows it.`,
    ),
    leftovers: first && `A broken rebuild has left ${first.name}${several}; :clean-up drops it`,
  };
}
