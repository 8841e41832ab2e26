import { ConsoleError } from '../../db/errors.js';
import { formatClock } from '../../shared/format/time.js';
import type { ActionContext, Progress } from '../action.js';
import { pauseUnlessAborted } from '../pause.js';
import { readRun, whoRuns, type Run } from './run.js';

const pollMs = 1_000;

/**
 * Shows the progress of another console's run until it ends; returns it as it ended.
 *
 * @throws ConsoleError `interrupted` when cancelled: the run itself goes on.
 */
export async function* followRun(
  { database, signal }: ActionContext,
  holder: Run,
): AsyncGenerator<Progress, Run> {
  for (let run = holder; ;) {
    if (run.state !== 'running') return run;
    yield followedProgress(run);
    await pauseUnlessAborted(signal.aborted ? 0 : pollMs, signal);
    if (signal.aborted) {
      throw new ConsoleError(
        'interrupted',
        `Run ${run.id} of ${whoRuns(run)} goes on without us.`,
        {
          hint: `Nothing was changed from here; trace-console runs ${run.id} shows it.`,
        },
      );
    }
    const next = await database.transaction({ readOnly: true }, (tx) =>
      readRun(tx, database.capabilities.schema, run.id),
    );
    // A row that somebody deleted tells nothing any more: as if its console had died.
    run = next ?? { ...run, state: 'crashed' };
  }
}

/** Its own progress, with who it is. */
function followedProgress(run: Run): Progress {
  const progress = readProgress(run.progress);
  const who = `${whoRuns(run)}, who is at it since ${formatClock(run.startedAt)} (run ${run.id})`;
  const behind = progress.blockedBy === undefined ? '' : ` and waits for ${progress.blockedBy}`;
  return { ...progress, phase: progress.phase || 'beginning', blockedBy: who + behind };
}

/** The journal's JSON as progress; what is not as expected is left out. */
export function readProgress(stored: unknown): Progress {
  const value = (stored ?? {}) as Record<string, unknown>;
  const progress: Progress = { phase: typeof value.phase === 'string' ? value.phase : '' };
  for (const key of ['done', 'total', 'rate', 'secondsLeft'] as const) {
    const number = value[key];
    if (typeof number === 'number') progress[key] = number;
  }
  for (const key of ['unit', 'blockedBy'] as const) {
    const text = value[key];
    if (typeof text === 'string') progress[key] = text;
  }
  return progress;
}

/** What a preview says of another one's run under the same name. */
export function holderWarning(holder: Run): string {
  const what = holder.subject === null ? holder.title : `${holder.title} (${holder.subject})`;
  return `${whoRuns(holder)} is at "${what}" since ${formatClock(holder.startedAt)}`;
}

/** Why an action may not run beside another one. */
export function busyError(title: string, holder: Run): ConsoleError {
  return new ConsoleError('busy', `${title}: refused, ${holderWarning(holder)}.`, {
    hint: `Wait until run ${holder.id} has ended; trace-console runs ${holder.id} shows it.`,
  });
}
