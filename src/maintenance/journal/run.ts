import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import {
  findConsoleTable,
  hasConsoleTable,
  openConsoleTable,
} from '../../deploy/console-schema.js';
import { ConsoleError } from '../../db/errors.js';
import { formatClock } from '../../core/format/time.js';
import type { ActionContext, Progress } from '../action.js';
import { pauseUnlessAborted } from '../long-statement.js';

/**
 * On the embedded engine a long statement keeps the signs of life of its own run waiting until the
 * lease is over. But there a run can be seen to live: its console listens to a channel of the run's,
 * and the session that all clients share listens while one of them does. On a server, where a session
 * is one client's, nobody sees another's channels, and the lease alone counts.
 */
const channelPrefix = 'trace_console.run.';

/** Of the row `r` of the journal: its lease ran out, and its console is not known to live. */
export const isSilent = `(r.lease_until < clock_timestamp() AND NOT EXISTS (
  SELECT FROM pg_listening_channels() AS channel WHERE channel = '${channelPrefix}' || r.id))`;

/**
 * Shows that the console of a run lives, until the result is called or the console ends. What cannot
 * be shown is no reason not to run: the lease counts.
 */
export async function showPresence(database: Database, run: number): Promise<() => Promise<void>> {
  if (!database.capabilities.embedded) return () => Promise.resolve();
  try {
    const connection = await database.connectDirect();
    await connection.query(`LISTEN ${quoteIdent(`${channelPrefix}${run}`)}`);
    return () => connection.close();
  } catch {
    return () => Promise.resolve();
  }
}

/** `crashed`: it was running when its console died, so its lease ran out. */
export type RunState = 'running' | 'done' | 'cancelled' | 'failed' | 'crashed';

/** A run of an action as the journal has it. Texts and JSON may be anything: others can write them. */
export type Run = {
  id: number;
  action: string;
  title: string;
  subject: string | null;
  input: unknown;
  state: RunState;
  startedAt: Date;
  /** Of a crashed one: when it was last heard of. */
  endedAt: Date | null;
  /** The database role. */
  role: string;
  /** The person's account and machine, as the operating system names them. */
  clientUser: string | null;
  clientHost: string | null;
  clientPid: number | null;
  /** As the server sees the client; behind a pooler the pooler's. */
  clientAddress: string | null;
  application: string;
  consoleVersion: string;
  progress: unknown;
  result: unknown;
  summary: string | null;
  error: unknown;
  /** The crashed run that this one took up again. */
  resumes: number | null;
  /** The run that took this crashed one up again. */
  resumedBy: number | null;
};

/** The columns of {@link Run} of the row `r`. A silent run has crashed, marked as crashed or not. */
const runColumns = `
  r.id, r.action, r.title, r.subject, r.input,
  CASE WHEN r.state = 'running' AND ${isSilent} THEN 'crashed' ELSE r.state END AS state,
  r.started_at AS "startedAt",
  CASE WHEN r.state = 'running' AND ${isSilent} THEN r.heartbeat_at ELSE r.ended_at END AS "endedAt",
  r.role::text AS role, r.client_user AS "clientUser", r.client_host AS "clientHost", r.client_pid AS "clientPid",
  host(r.client_address) AS "clientAddress", r.application, r.console_version AS "consoleVersion",
  r.progress, r.result, r.summary, r.error, r.resumes,
  (SELECT max(n.id) FROM trace_console.maintenance_runs AS n WHERE n.resumes = r.id) AS "resumedBy"`;

/**
 * The latest runs of a schema, newest first; none where there is no journal.
 *
 * @throws ConsoleError `privilege_missing` where this role may not read it
 */
export async function readRuns(tx: Queryable, schema: string, limit: number): Promise<Run[]> {
  if (!(await findConsoleTable(tx, table))) return [];
  const { rows } = await tx.query<Run>(
    `SELECT ${runColumns} FROM trace_console.maintenance_runs AS r
     WHERE r.target_schema = $1 ORDER BY r.id DESC LIMIT $2`,
    [schema, limit],
  );
  return rows;
}

/** One run of a schema. @throws as {@link readRuns} */
export async function readRun(tx: Queryable, schema: string, id: number): Promise<Run | undefined> {
  if (!(await findConsoleTable(tx, table))) return undefined;
  const { rows } = await tx.query<Run>(
    `SELECT ${runColumns} FROM trace_console.maintenance_runs AS r
     WHERE r.target_schema = $1 AND r.id = $2`,
    [schema, id],
  );
  return rows[0];
}

/** The run that holds an exclusive name of a schema now. */
export async function readHolder(
  tx: Queryable,
  schema: string,
  exclusiveName: string,
): Promise<Run | undefined> {
  const { rows } = await tx.query<Run>(
    `SELECT ${runColumns} FROM trace_console.maintenance_runs AS r
     WHERE r.target_schema = $1 AND r.exclusive_name = $2 AND r.state = 'running'
       AND NOT ${isSilent}
     ORDER BY r.id LIMIT 1`,
    [schema, exclusiveName],
  );
  return rows[0];
}

/** As {@link readHolder}, where there may be no journal yet. */
export async function findHolder(
  database: Database,
  exclusiveName: string,
): Promise<Run | undefined> {
  const { schema } = database.capabilities;
  return database.transaction({ readOnly: true }, async (tx) =>
    (await hasJournal(tx)) ? readHolder(tx, schema, exclusiveName) : undefined,
  );
}

/** `traces_owner (ada@build-7, 10.0.0.4)`: the role, and the person and machine behind it. */
export function whoRuns({ role, clientUser, clientHost, clientAddress }: Run): string {
  const person = clientUser === null ? clientHost : `${clientUser}@${clientHost ?? '?'}`;
  const from = [person, clientAddress].filter((part) => part !== null).join(', ');
  return from === '' ? role : `${role} (${from})`;
}

const table = 'maintenance_runs';

/** Creates the journal where it is missing; false for a role that may not write it. */
export function openJournal(transaction: Queryable): Promise<boolean> {
  return openConsoleTable(transaction, table);
}

/** Whether the journal exists and may be read. */
export function hasJournal(transaction: Queryable): Promise<boolean> {
  return hasConsoleTable(transaction, table);
}

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
    // A deleted row counts as if the console of the run had died.
    run = next ?? { ...run, state: 'crashed' };
  }
}

/** The progress of the other console's run, with who runs it. */
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

/** The warning of a preview about a run of another console under the same exclusive name. */
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
