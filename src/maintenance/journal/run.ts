import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { isSilent } from './presence.js';
import { hasJournal } from './table.js';

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

/** The latest runs of a schema, newest first; none where there is no journal, or none to be read. */
export async function readRuns(tx: Queryable, schema: string, limit: number): Promise<Run[]> {
  if (!(await hasJournal(tx))) return [];
  const { rows } = await tx.query<Run>(
    `SELECT ${runColumns} FROM trace_console.maintenance_runs AS r
     WHERE r.target_schema = $1 ORDER BY r.id DESC LIMIT $2`,
    [schema, limit],
  );
  return rows;
}

/** One run of a schema. */
export async function readRun(tx: Queryable, schema: string, id: number): Promise<Run | undefined> {
  if (!(await hasJournal(tx))) return undefined;
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
