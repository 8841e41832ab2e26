import { ConsoleError } from '../../db/errors.js';
import type { Action, ActionContext, Outcome, Progress } from '../action.js';
import { beginRun, RunEntry } from './run-entry.js';
import { busyError, followRun, whoRuns, type Run } from './run.js';
import { refusal } from '../guard.js';

/** What is known of a run besides its outcome. */
export type RunOutcome<Result> = Outcome<Result> & {
  /** Its number in the journal, when it is there. */
  run?: number;
  /** It was another console's: this one only looked on. */
  followed?: true;
};

/**
 * Runs an action with its entry in the journal: who, from where, what, how far, with which result.
 * Where the journal cannot be written the action runs all the same, and its summary says so.
 *
 * @throws ConsoleError `busy` when another console's run excludes this one
 */
export async function* journaled<Input, Result>(
  action: Action<Input, Result>,
  context: ActionContext,
  input: Input,
): AsyncGenerator<Progress, RunOutcome<Result>> {
  const { database } = context;
  let begun = await beginRun(database, action, input);
  while (begun.kind === 'taken') {
    const { holder } = begun;
    const sameKind = holder.action === action.id && action.exclusive?.whenTaken === 'follow';
    if (!sameKind) throw busyError(action.title, holder);
    const ended = yield* followRun(context, holder);
    if (ended.state !== 'crashed') return outcomeOf<Result>(ended);
    begun = await beginRun(database, action, input);
  }
  if (begun.kind === 'unwritten') {
    const outcome = yield* action.run(context, input);
    return { ...outcome, summary: `${outcome.summary} Not in the journal: ${begun.reason}` };
  }
  return yield* runWithEntry(action, context, input, begun.id);
}

async function* runWithEntry<Input, Result>(
  action: Action<Input, Result>,
  context: ActionContext,
  input: Input,
  id: number,
): AsyncGenerator<Progress, RunOutcome<Result>> {
  const { database, signal } = context;
  const stop = new AbortController();
  const forward = () => stop.abort();
  if (signal.aborted) stop.abort();
  signal.addEventListener('abort', forward);
  let lost = false;
  const entry = new RunEntry(database, id, () => {
    lost = true;
    // Without an exclusive name there is nobody whom going on could disturb.
    if (action.exclusive) stop.abort();
  });
  const events = action.run({ ...context, signal: stop.signal }, input);
  // Of one that nobody reads any more the journal learns as well.
  let failure: unknown = new ConsoleError('interrupted', 'The console gave the run up.');
  let ended = false;
  try {
    await entry.start();
    let event = await events.next();
    while (!event.done) {
      entry.note(event.value);
      yield event.value;
      event = await events.next();
    }
    const outcome = event.value;
    ended = true;
    const state = outcome.cancelled ? 'cancelled' : 'done';
    const unwritten = await entry.end({ state, outcome });
    return { ...outcome, run: id, summary: outcome.summary + afterword(lost, unwritten) };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    signal.removeEventListener('abort', forward);
    if (!ended) {
      await events.return(undefined as never).catch(() => undefined);
      await entry.end({ state: 'failed', error: failure });
    }
  }
}

function afterword(lost: boolean, unwritten: string | undefined): string {
  if (lost) return ' It was silent for so long that another console took over.';
  return unwritten === undefined ? '' : ` Its end is not in the journal: ${unwritten}`;
}

/** @throws ConsoleError when the followed run failed */
function outcomeOf<Result>(run: Run): RunOutcome<Result> {
  const who = `${whoRuns(run)} did it (run ${run.id})`;
  if (run.state === 'failed') {
    const { message } = (run.error ?? {}) as { message?: unknown };
    throw new ConsoleError('query_failed', `${who}, and it failed: ${String(message)}`, {
      hint: 'Nothing was changed from here. Run it again when the reason is gone.',
    });
  }
  return {
    summary: `${who}: ${run.summary ?? ''}`,
    cancelled: run.state === 'cancelled',
    // As that console wrote it; it is only ever printed.
    result: run.result as Result,
    run: run.id,
    followed: true,
  };
}

/**
 * Runs an action past the guard and into the journal: what the registry does, and an action that is made
 * of others.
 *
 * @throws ConsoleError when the action may not run here, or fails.
 */
export async function* runGuarded<Input, Result>(
  action: Action<Input, Result>,
  context: ActionContext,
  input: Input,
): AsyncGenerator<Progress, RunOutcome<Result>> {
  const error = refusal(context.database, action, input);
  if (error) throw error;
  return yield* journaled(action, context, input);
}
