import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/database.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { keepForEver, type DailyWindow, type RetentionPolicy } from './policy.js';

/** A job of pg_cron as the policy wants it. */
export type CronJob = {
  /** `trace-console archive public`: unique for a role, and how the console knows its own. */
  name: string;
  /** Minute, hour, day, month, weekday. The time of day is in the command, with its own time zone. */
  schedule: string;
  command: string;
};

/** A job as pg_cron has it, with its latest run. */
export type ScheduledJob = CronJob & {
  active: boolean;
  role: string;
  /** `succeeded`, `failed`, `running`, …; null before its first run. */
  lastStatus: string | null;
  lastMessage: string | null;
  lastStartedAt: Date | null;
};

/**
 * The jobs of a policy: a batch of the archive every minute, as large as gives the best rate (about
 * half a second), and pruning once an hour. Each is one statement of the schema's functions, so that
 * pg_cron needs nothing of the console.
 */
export function cronJobs(schema: string, policy: RetentionPolicy): CronJob[] {
  const name = (action: string) => `trace-console ${action} ${schema}`;
  const when = policy.window === null ? '' : ` WHERE ${insideWindow(policy.window)}`;
  const { archiveAfter, pruneUsageAfter, prunePatternsAfter } = policy;
  const prune = quoteIdent(schema, 'prune_patterns');
  return [
    ...(archiveAfter === null
      ? []
      : [
          {
            name: name('archive'),
            schedule: '* * * * *',
            command: archiveCommand(schema, archiveAfter, when),
          },
        ]),
    ...(pruneUsageAfter === null && prunePatternsAfter === null
      ? []
      : [
          {
            name: name('prune'),
            schedule: '23 * * * *',
            command: `SELECT ${prune}(usage_older_than => ${quoteLiteral(pruneUsageAfter ?? keepForEver)}, unused_for => ${quoteLiteral(prunePatternsAfter ?? keepForEver)}, batch_size => 10000)${when};`,
          },
        ]),
  ];
}

/**
 * One batch that moves something. Where the oldest traces are all of trees that must stay, as those of a tree that is
 * still growing, the cursor leads past them within the statement: from the beginning the next run would meet them again.
 */
function archiveCommand(schema: string, age: string, when: string): string {
  const call = `${quoteIdent(schema, 'archive_traces')}(${quoteLiteral(age)}, 5000`;
  return [
    `WITH RECURSIVE batch AS (SELECT * FROM ${call})${when}`,
    `UNION ALL SELECT next.* FROM batch, ${call}, after_started_at => batch.next_started_at, after_id => batch.next_id) AS next`,
    `WHERE batch.execution_traces = 0 AND NOT batch.done) SELECT sum(execution_traces) AS traces FROM batch HAVING count(*) > 0;`,
  ].join(' ');
}

/** A condition without a column: where it is false the functions are not called. */
function insideWindow({ from, to, timeZone }: DailyWindow): string {
  const time = `(now() AT TIME ZONE ${quoteLiteral(timeZone)})::time`;
  const [after, before] = [`${time} >= ${quoteLiteral(from)}`, `${time} < ${quoteLiteral(to)}`];
  return from < to ? `${after} AND ${before}` : `(${after} OR ${before})`;
}

/**
 * @throws ConsoleError `extension_missing` where pg_cron is not in this database
 */
export async function requireCron(tx: Queryable): Promise<void> {
  const { rows } = await tx.query(
    `SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE n.nspname = 'cron' AND p.proname = 'schedule' AND p.pronargs = 3`,
  );
  if (rows.length > 0) return;
  throw new ConsoleError('extension_missing', 'pg_cron is not in this database.', {
    hint: 'Its administrator creates it in the database that cron.database_name names. Without it, let cron run: trace-console maintain --once',
  });
}

/** The console's jobs of a schema that this role may see; none without pg_cron. */
export async function readJobs(tx: Queryable, schema: string): Promise<ScheduledJob[]> {
  await requireCron(tx);
  const details = await tx.query<{ readable: boolean }>(
    `SELECT COALESCE(has_table_privilege(to_regclass('cron.job_run_details'), 'SELECT'), false) AS readable`,
  );
  const last = details.rows[0]?.readable
    ? `SELECT status, return_message, start_time FROM cron.job_run_details AS d
       WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1`
    : 'SELECT NULL::text AS status, NULL::text AS return_message, NULL::timestamptz AS start_time';
  const { rows } = await tx.query<ScheduledJob>(
    `SELECT j.jobname::text AS name, j.schedule, j.command, j.active, j.username::text AS role,
       last.status AS "lastStatus", last.return_message AS "lastMessage", last.start_time AS "lastStartedAt"
     FROM cron.job AS j LEFT JOIN LATERAL (${last}) AS last ON true
     WHERE j.jobname = ANY ($1) AND j.database = current_database()
     ORDER BY j.jobname`,
    [['archive', 'prune'].map((action) => `trace-console ${action} ${schema}`)],
  );
  return rows;
}

/** Whether what is scheduled is what the policy says now. */
export function isCurrent(scheduled: readonly CronJob[], wanted: readonly CronJob[]): boolean {
  const text = (jobs: readonly CronJob[]) =>
    jobs.map(({ name, schedule, command }) => `${name} ${schedule} ${command}`).sort();
  return JSON.stringify(text(scheduled)) === JSON.stringify(text(wanted));
}
