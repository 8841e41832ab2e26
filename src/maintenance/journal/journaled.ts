import { hostname, userInfo } from 'node:os';
import { consoleVersion } from '../../core/version.js';
import { applicationName } from '../../db/connection/client-config.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import type { Action, ActionContext, Outcome, Progress } from '../action.js';
import { refusal } from '../guard.js';
import {
  busyError,
  followRun,
  isSilent,
  openJournal,
  readHolder,
  type Run,
  showPresence,
  whoRuns,
} from './run.js';

/** Progress is written at most this often. */
const progressEveryMs = 2_000;
/** A statement on the journal gives up after this (ms): the action must not wait long for its entry. */
const limits = { statementTimeoutMs: 5_000, lockTimeoutMs: 1_000 };

type End =
  { state: 'done' | 'cancelled'; outcome: Outcome<unknown> } | { state: 'failed'; error: unknown };

/**
 * The journal's row of a running action: gives its signs of life and its progress, also while the
 * action waits for a long statement, each on a short transaction of its own.
 */
class RunEntry {
  readonly #database: Database;
  readonly #id: number;
  readonly #onLost: () => void;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #writtenAt = performance.now();
  #progress: Progress | undefined;
  #written: Progress | undefined;
  #endPresence = (): Promise<void> => Promise.resolve();

  /** @param onLost called when others took this run for dead: another one may have begun */
  constructor(database: Database, id: number, onLost: () => void) {
    this.#database = database;
    this.#id = id;
    this.#onLost = onLost;
  }

  /** Await this before the action's first statement, which may take long. */
  async start(): Promise<void> {
    this.#endPresence = await showPresence(this.#database, this.#id);
    this.#timer = setInterval(() => this.#tick(), progressEveryMs / 2);
    this.#timer.unref();
  }

  note(progress: Progress): void {
    this.#progress = progress;
  }

  /** Writes the end; the reason when it could not. */
  async end(end: End): Promise<string | undefined> {
    clearInterval(this.#timer);
    await this.#writing;
    const outcome = end.state === 'failed' ? undefined : end.outcome;
    try {
      const found = await this.#update(
        `state = $2, ended_at = clock_timestamp(), lease_until = clock_timestamp(),
         progress = COALESCE($3::jsonb, progress), result = $4::jsonb, summary = $5, error = $6::jsonb`,
        [
          end.state,
          jsonOrNull(this.#progress),
          jsonOrNull(outcome?.result),
          outcome?.summary ?? null,
          end.state === 'failed' ? JSON.stringify(errorJson(end.error)) : null,
        ],
      );
      return found ? undefined : 'its row is gone, or another console took it for dead.';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await this.#endPresence();
    }
  }

  #tick(): void {
    const since = performance.now() - this.#writtenAt;
    const news = this.#progress !== this.#written && since >= progressEveryMs;
    if (this.#isWriting || !(news || since >= lease.renewedEveryMs)) return;
    this.#isWriting = true;
    this.#writtenAt = performance.now();
    this.#writing = this.#renew().finally(() => (this.#isWriting = false));
  }

  async #renew(): Promise<void> {
    const progress = this.#progress;
    try {
      const found = await this.#update(
        `heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + make_interval(secs => $2),
         progress = COALESCE($3::jsonb, progress)`,
        [lease.seconds, jsonOrNull(progress)],
      );
      this.#written = progress;
      if (!found) this.#onLost();
    } catch {
      // The next sign of life may succeed. If the connection is lost, the action's own statements will fail.
    }
  }

  async #update(assignments: string, values: readonly unknown[]): Promise<boolean> {
    const { rowCount } = await this.#database.transaction(limits, (tx) =>
      tx.query(
        `UPDATE trace_console.maintenance_runs SET ${assignments} WHERE id = $1 AND state = 'running'`,
        [this.#id, ...values],
      ),
    );
    return rowCount === 1;
  }
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function errorJson(error: unknown): object {
  if (!(error instanceof ConsoleError)) {
    return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint, sqlState } = error;
  return { code, message, hint, sqlState };
}

type Begun =
  | { kind: 'begun'; id: number }
  /** Another console runs it now. */
  | { kind: 'taken'; holder: Run }
  /** The journal cannot be written here, and why; the action may run all the same. */
  | { kind: 'unwritten'; reason: string };

/** How long a run counts as alive after its last sign of life, and how often it gives one. */
const lease = { seconds: 15, renewedEveryMs: 5_000 };

/** What of an action the journal needs to know. */
type Journaled<Input> = Pick<
  Action<Input, never>,
  'id' | 'title' | 'subject' | 'exclusive' | 'keptInput'
>;

/**
 * Enters a run into the journal, unless another one holds its exclusive name. Runs begin one after the
 * other in a schema, so that two consoles cannot both find it free.
 */
export async function beginRun<Input>(
  database: Database,
  action: Journaled<Input>,
  input: Input,
): Promise<Begun> {
  const { schema, user } = database.capabilities;
  try {
    return await database.transaction({ lockTimeoutMs: 5_000 }, async (tx) => {
      await tx.query(
        `SELECT pg_advisory_xact_lock(hashtextextended('trace_console.journal:' || $1, 0))`,
        [schema],
      );
      if (!(await openJournal(tx))) {
        const reason = `"${user}" may not write trace_console.maintenance_runs.`;
        return { kind: 'unwritten', reason };
      }
      const name = action.exclusive?.name;
      const holder = name === undefined ? undefined : await readHolder(tx, schema, name);
      if (holder) return { kind: 'taken', holder };
      return { kind: 'begun', id: await enter(tx, schema, action, input) };
    });
  } catch (error) {
    // The journal is for people: that it fails is no reason not to do what was asked. That nobody answered
    // in time does not tell, though, whether another console is at it.
    const untold = action.exclusive !== undefined && isLate(error);
    if (error instanceof ConsoleError && !untold)
      return { kind: 'unwritten', reason: error.message };
    throw error;
  }
}

function isLate(error: unknown): boolean {
  if (!(error instanceof ConsoleError)) return false;
  return ['statement_timeout', 'lock_timeout', 'busy'].includes(error.code);
}

async function enter<Input>(
  tx: Queryable,
  schema: string,
  action: Journaled<Input>,
  input: Input,
): Promise<number> {
  const { id, title, exclusive } = action;
  const json = JSON.stringify(action.keptInput?.(input) ?? input);
  // A console that wakes from a long sleep finds its run marked as crashed, and stops.
  await tx.query(
    `UPDATE trace_console.maintenance_runs AS r SET state = 'crashed', ended_at = heartbeat_at
     WHERE target_schema = $1 AND state = 'running' AND ${isSilent}
       AND (exclusive_name = $2 OR (action = $3 AND input = $4::jsonb))`,
    [schema, exclusive?.name ?? null, id, json],
  );
  const { rows } = await tx.query<{ id: number }>(
    `INSERT INTO trace_console.maintenance_runs (target_schema, action, title, subject, input, exclusive_name,
       lease_until, client_user, client_host, client_pid, application, console_version, resumes)
     VALUES ($1, $2, $3, $4, $5::jsonb, $6, clock_timestamp() + make_interval(secs => $7), $8, $9, $10, $11, $12, (
       SELECT max(crashed.id) FROM trace_console.maintenance_runs AS crashed
       WHERE crashed.target_schema = $1 AND crashed.state = 'crashed' AND crashed.action = $2 AND crashed.input = $5::jsonb
         AND NOT EXISTS (SELECT FROM trace_console.maintenance_runs AS next WHERE next.resumes = crashed.id)))
     RETURNING id`,
    [
      schema,
      id,
      title,
      action.subject?.(input) ?? null,
      json,
      exclusive?.name ?? null,
      lease.seconds,
      accountName(),
      hostname(),
      process.pid,
      applicationName,
      consoleVersion(),
    ],
  );
  const [row] = rows;
  if (!row) throw new ConsoleError('internal', 'The journal gave no number to the run.');
  return row.id;
}

/** An account may have no name: a container runs under any number. */
function accountName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/** What is known of a run besides its outcome. */
export type RunOutcome<Result> = Outcome<Result> & {
  /** Its number in the journal, when it is there. */
  run?: number;
  /** The run was another console's: this one only showed its progress. */
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
    // Runs without an exclusive name cannot conflict: this one goes on.
    if (action.exclusive) stop.abort();
  });
  const events = action.run({ ...context, signal: stop.signal }, input);
  // Also where nobody iterates any more: the journal gets the end of every run.
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
