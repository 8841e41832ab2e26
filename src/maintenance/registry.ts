import { ConsoleError } from '../db/errors.js';
import type { Database } from '../db/database.js';
import type { Action, ActionContext, Preview, Progress, Offer } from './action.js';
import { closeStuck } from './close-stuck.js';
import { cancelQuery, terminateBackend } from './end-backend.js';
import { importSessions } from './import-sessions.js';
import { archiveTraces } from './archive/archive-traces.js';
import { importTrees } from './archive/import-trees.js';
import { purgeTrees } from './archive/purge-trees.js';
import { restoreTrees, restoreCommand } from './archive/restore-trees.js';
import { refusal } from './guard.js';
import { holderWarning, findHolder, type Run, readRun } from './journal/run.js';
import { runGuarded, type RunOutcome } from './journal/journaled.js';
import { learnAction } from './learning/learn.js';
import { mergePatterns } from './learning/merge-patterns.js';
import { dropMaterialized, materialize, refreshViews } from './materialize.js';
import { prunePatterns } from './prune/prune-patterns.js';
import { cleanUp } from './reindex/leftovers.js';
import { followBuild } from './reindex/follow-build.js';
import { reindex } from './reindex/reindex.js';
import { maintain } from './retention/maintain.js';
import { schedule, unschedule } from './retention/schedule.js';
import { clearPolicy, setPolicy } from './retention/policy.js';
import { analyze, vacuum } from './statistics/maintain-tables.js';

/**
 * Every action of the console, by the name that the screen and the journal use. Adding one is adding
 * its file and a line here; guard and journal come by themselves.
 */
export const actions = {
  reindex,
  'clean-up': cleanUp,
  'follow-build': followBuild,
  archive: archiveTraces,
  restore: restoreTrees,
  purge: purgeTrees,
  import: importTrees,
  'import-sessions': importSessions,
  maintain,
  'set-policy': setPolicy,
  'clear-policy': clearPolicy,
  'close-stuck': closeStuck,
  'cancel-query': cancelQuery,
  'terminate-backend': terminateBackend,
  learn: learnAction,
  'merge-patterns': mergePatterns,
  prune: prunePatterns,
  analyze,
  vacuum,
  materialize,
  'refresh-views': refreshViews,
  'drop-materialized': dropMaterialized,
  schedule,
  unschedule,
} as const;

export type ActionName = keyof typeof actions;

export type InputOf<Name extends ActionName> = Name extends ActionName
  ? (typeof actions)[Name] extends Action<infer Input, unknown>
    ? Input
    : never
  : never;

export type ResultOf<Name extends ActionName> = Name extends ActionName
  ? (typeof actions)[Name] extends Action<InputOf<Name>, infer Result>
    ? Result
    : never
  : never;

/** Why an action may not run on this database; undefined when it may. */
export function refusalOf<Name extends ActionName>(
  name: Name,
  database: Database,
  input: InputOf<Name>,
): ConsoleError | undefined {
  return refusal(database, actionOf(name), input);
}

/** @throws ConsoleError when the action may not run here. */
export async function previewAction<Name extends ActionName>(
  name: Name,
  context: ActionContext,
  input: InputOf<Name>,
): Promise<Preview> {
  const database = await context.database.primary();
  const error = refusalOf(name, database, input);
  if (error) throw error;
  const action = actionOf(name);
  const [preview, holder] = await Promise.all([
    action.preview({ ...context, database }, input),
    action.exclusive && findHolder(database, action.exclusive.name),
  ]);
  const word = preview.typed ?? database.production;
  return {
    ...preview,
    ...(word === undefined ? {} : { typed: word }),
    warnings: [...(holder ? [holderWarning(holder)] : []), ...preview.warnings],
  };
}

/**
 * Runs an action, never past the guard and the journal.
 *
 * @throws ConsoleError when the action may not run here, or fails.
 */
export async function* runAction<Name extends ActionName>(
  name: Name,
  context: ActionContext,
  input: InputOf<Name>,
): AsyncGenerator<Progress, RunOutcome<ResultOf<Name>>> {
  const database = await context.database.primary();
  return yield* runGuarded(actionOf(name), { ...context, database }, input);
}

/**
 * The action of a crashed run with its input, to be run again.
 *
 * @throws ConsoleError `usage` when it did not crash, or cannot be run from what the journal has.
 */
export function storedAction(run: Run): { name: ActionName; input: InputOf<ActionName> } {
  if (run.state !== 'crashed' || run.resumedBy !== null) {
    const why = run.resumedBy === null ? `is ${run.state}` : `was resumed by run ${run.resumedBy}`;
    throw new ConsoleError('usage', `Run ${run.id} ${why}; only a crashed one can be resumed.`);
  }
  const name = Object.keys(actions).find((known): known is ActionName => known === run.action);
  const input = name && actionOf(name).readInput?.(run.input);
  if (name === undefined || input === undefined) {
    throw new ConsoleError('usage', `Run ${run.id} (${run.action}) cannot be resumed.`, {
      hint: `Its input is kept: trace-console runs ${run.id}`,
    });
  }
  return { name, input };
}

/** TypeScript cannot follow a generic key through the record; the record itself is checked above. */
function actionOf<Name extends ActionName>(name: Name): Action<InputOf<Name>, ResultOf<Name>> {
  return actions[name] as unknown as Action<InputOf<Name>, ResultOf<Name>>;
}

/** An action with its input, ready to be previewed. */
export type OfferedAction = { name: ActionName; title: string; input: InputOf<ActionName> };

/** A run whose console died is done again from what the journal has kept. */
const resumeOffer: Offer<OfferedAction> = {
  command: restoreCommand,
  rows: 'maintenance run',
  needs: 'a crashed run',
  whyNot: (rows) => (rows.length > 1 ? 'Resume one run at a time' : undefined),
  choose([row], database) {
    const id: unknown = row && Reflect.get(row, 'id');
    return { title: `Resume run ${String(id)}`, chosen: readStored(id, database) };
  },
};

async function readStored(id: unknown, database: Database): Promise<OfferedAction> {
  const { schema } = database.capabilities;
  const run =
    typeof id === 'number'
      ? await database.transaction({ readOnly: true }, (tx) => readRun(tx, schema, id))
      : undefined;
  if (!run) throw new ConsoleError('not_found', `Run ${String(id)} is no longer in the journal.`);
  return { ...storedAction(run), title: `Resume run ${run.id}` };
}

/** Every way in which the console offers an action, in the order of the registry. */
export const offers: readonly Offer<OfferedAction>[] = [
  ...(Object.keys(actions) as ActionName[]).flatMap(offersOf),
  resumeOffer,
];

function offersOf(name: ActionName): Offer<OfferedAction>[] {
  // The input of an offer is that of its action: the declarations are checked where they stand.
  const action = actions[name] as Pick<Action<InputOf<ActionName>, unknown>, 'offers'>;
  return (action.offers ?? []).map((offer) => ({
    ...offer,
    choose(rows, database) {
      const choice = offer.choose(rows, database);
      if (!choice || !('chosen' in choice)) return choice && { name, ...choice };
      const { title, chosen } = choice;
      return { title, chosen: chosen.then((action) => ({ name, ...action })) };
    },
  }));
}
