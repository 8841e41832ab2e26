import { ConsoleError } from '../db/errors.js';
import type { Database } from '../db/database.js';
import type { Action, ActionContext, Preview, Progress } from './action.js';
import { archiveTraces } from './archive/archive-traces.js';
import { importTrees } from './archive/import-trees.js';
import { purgeTrees } from './archive/purge-trees.js';
import { restoreTrees } from './archive/restore-trees.js';
import { refusal } from './guard.js';
import { holderWarning } from './journal/follow-run.js';
import type { RunOutcome } from './journal/journaled.js';
import { findHolder, type Run } from './journal/run.js';
import { prunePatterns } from './prune/prune-patterns.js';
import { cleanUp } from './reindex/clean-up.js';
import { followBuild } from './reindex/follow-build.js';
import { reindex } from './reindex/reindex.js';
import { maintain } from './retention/maintain.js';
import { schedule, unschedule } from './retention/schedule.js';
import { clearPolicy, setPolicy } from './retention/set-policy.js';
import { runGuarded } from './run-guarded.js';
import { analyze } from './statistics/analyze.js';
import { vacuum } from './statistics/vacuum.js';

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
  maintain,
  'set-policy': setPolicy,
  'clear-policy': clearPolicy,
  prune: prunePatterns,
  analyze,
  vacuum,
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
  const error = refusalOf(name, context.database, input);
  if (error) throw error;
  const action = actionOf(name);
  const [preview, holder] = await Promise.all([
    action.preview(context, input),
    action.exclusive && findHolder(context.database, action.exclusive.name),
  ]);
  const word = preview.typed ?? context.database.production;
  return {
    ...preview,
    ...(word === undefined ? {} : { typed: word }),
    warnings: [...(holder ? [holderWarning(holder)] : []), ...preview.warnings],
  };
}

/**
 * Runs an action; the only way to one, so that nothing is changed past the guard and the journal.
 *
 * @throws ConsoleError when the action may not run here, or fails.
 */
export async function* runAction<Name extends ActionName>(
  name: Name,
  context: ActionContext,
  input: InputOf<Name>,
): AsyncGenerator<Progress, RunOutcome<ResultOf<Name>>> {
  return yield* runGuarded(actionOf(name), context, input);
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
