import type { Database, DirectConnection } from '../db/database.js';
import type { ActionContext, Progress } from './action.js';
import { pauseUnlessAborted } from './pause.js';

/** How often the server is asked how far it is. */
const pollMs = 500;

export type FollowOptions = {
  /** What is told until the server tells a phase of its own. */
  phase: string;
  /** Asks how far the statement of this backend is, and who is in its way. */
  readProgress: (database: Database, pid: number) => Promise<Progress | undefined>;
  /** The server may be left alone with it: what it makes is found again at the next start. */
  detachable?: boolean;
};

/**
 * Runs one long statement on a connection of its own and yields how far it is, until it ends. When
 * the person cancels, the statement is cancelled, and no other: it then fails with SQLSTATE 57014.
 *
 * @returns `left` when the console ends and the server goes on with it by itself
 * @throws ConsoleError when the statement fails or was cancelled
 */
export async function* followStatement(
  { database, signal, detach }: ActionContext,
  connection: DirectConnection,
  statement: string,
  { phase, readProgress, detachable = false }: FollowOptions,
): AsyncGenerator<Progress, 'finished' | 'left'> {
  const { embedded } = database.capabilities;
  const mayLeave = detachable && !embedded;
  const stop = AbortSignal.any(detach && mayLeave ? [signal, detach] : [signal]);
  const running = connection.query(statement);
  const settled = running.then(
    () => true,
    () => true,
  );
  const told = (progress: Progress): Progress =>
    mayLeave ? { ...progress, detachable: true } : progress;
  yield told({ phase: embedded ? `${phase} (the embedded database tells no progress)` : phase });
  for (let cancelled = false; ;) {
    if (signal.aborted && !cancelled) {
      cancelled = true;
      await database.cancel(connection);
    } else if (mayLeave && detach?.aborted) {
      await connection.close();
      return 'left';
    }
    if (await Promise.race([settled, pauseUnlessAborted(pollMs, stop).then(() => false)])) break;
    // The embedded engine runs one statement at a time: a question would only wait behind this one.
    if (embedded) continue;
    // A progress that cannot be read must not end the statement.
    const progress = await readProgress(database, connection.cancelKey.processId).catch(
      () => undefined,
    );
    if (progress) yield told(progress.phase === '' ? { ...progress, phase } : progress);
  }
  await running;
  return 'finished';
}
