import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import type { Action } from '../action.js';
import { readPolicy, keepForEver, type DailyWindow, type RetentionPolicy } from './policy.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { readMaterialized, refreshStatement } from '../../deploy/materialized.js';

type NoInput = Readonly<Record<string, never>>;

export type ScheduleResult = { scheduled: CronJob[]; removed: string[] };

async function plan(database: Database, tx: Queryable) {
  const { schema } = database.capabilities;
  const present = await readJobs(tx, schema);
  const policy = await readPolicy(tx, schema);
  if (!policy) {
    throw new ConsoleError('usage', `No retention policy of the schema "${schema}" is stored.`, {
      hint: 'Store one first: trace-console maintain policy set --archive-after 90d',
    });
  }
  const wanted = await readWantedJobs(tx, schema, policy);
  const names = new Set(wanted.map(({ name }) => name));
  return { wanted, obsolete: present.filter(({ name }) => !names.has(name)) };
}

/** Lets pg_cron carry the policy out: a job for the archive, for pruning and for materialized views, in place of those before. */
export const schedule: Action<NoInput, ScheduleResult> = {
  id: 'schedule',
  title: 'Schedule the retention policy',
  requires: ['primary'],
  tables: () => [],
  async preview({ database }) {
    const { wanted, obsolete } = await database.transaction({ readOnly: true }, (tx) =>
      plan(database, tx),
    );
    return {
      title: 'Let pg_cron carry the retention policy out',
      facts: wanted.map(({ name, schedule: when }) => ({ label: name, value: when })),
      sql: [
        ...wanted.map(({ command }) => command),
        ...obsolete.map(({ name }) => `SELECT cron.unschedule('${name}');`),
      ],
      warnings: [
        'The jobs run as this role, and keep these ages: schedule again when the policy has changed.',
      ],
      ...(wanted.length === 0 && obsolete.length === 0
        ? { nothing: 'The policy asks for nothing.' }
        : {}),
    };
  },
  async *run({ database }) {
    yield { phase: 'scheduling' };
    const result = await database.transaction({}, async (tx) => {
      const { wanted, obsolete } = await plan(database, tx);
      for (const { name, schedule: when, command } of wanted) {
        await tx.query('SELECT cron.schedule($1::text, $2::text, $3::text)', [name, when, command]);
      }
      for (const { name } of obsolete) await tx.query('SELECT cron.unschedule($1::text)', [name]);
      return { scheduled: wanted, removed: obsolete.map(({ name }) => name) };
    });
    return {
      summary: `Scheduled ${result.scheduled.map(({ name }) => `"${name}"`).join(', ') || 'nothing'}.`,
      cancelled: false,
      result,
    };
  },
};

export const unschedule: Action<NoInput, ScheduleResult> = {
  id: 'unschedule',
  title: 'Remove the scheduled jobs',
  requires: ['primary'],
  tables: () => [],
  async preview({ database }) {
    const jobs = await database.transaction({ readOnly: true }, (tx) =>
      readJobs(tx, database.capabilities.schema),
    );
    return {
      title: 'Remove the jobs of the retention policy from pg_cron',
      facts: jobs.map(({ name, schedule: when }) => ({ label: name, value: when })),
      sql: jobs.map(({ name }) => `SELECT cron.unschedule('${name}');`),
      warnings: [],
      ...(jobs.length === 0 ? { nothing: 'No job of the console is scheduled.' } : {}),
    };
  },
  async *run({ database }) {
    yield { phase: 'removing the jobs' };
    const removed = await database.transaction({}, async (tx) => {
      const jobs = await readJobs(tx, database.capabilities.schema);
      for (const { name } of jobs) await tx.query('SELECT cron.unschedule($1::text)', [name]);
      return jobs.map(({ name }) => name);
    });
    const names = removed.map((name) => `"${name}"`).join(', ');
    return {
      summary: removed.length === 0 ? 'Nothing was scheduled.' : `Removed ${names}.`,
      cancelled: false,
      result: { scheduled: [], removed },
    };
  },
};

/** A job of pg_cron as the policy wants it. */
type CronJob = {
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

/** The jobs that a policy asks for, with the materialized views that are there now. */
export async function readWantedJobs(
  tx: Queryable,
  schema: string,
  policy: RetentionPolicy,
): Promise<CronJob[]> {
  const copies = policy.refreshAfter === null ? [] : await readMaterialized(tx, schema);
  const { rows } = await tx.query<{ minutes: number | null }>(
    `SELECT date_part('epoch', $1::interval) / 60 AS minutes`,
    [policy.refreshAfter],
  );
  return cronJobs(
    schema,
    policy,
    copies.map(({ name }) => name),
    rows[0]?.minutes ?? 60,
  );
}

/** How often a job runs so that nothing becomes older than that by much: what divides the hour, or the day. */
function refreshSchedule(minutes: number): string {
  const longest = (all: number[], most: number) => all.filter((one) => one <= most).at(-1) ?? 1;
  if (minutes < 60) return `*/${longest([1, 2, 3, 5, 10, 15, 20, 30], minutes)} * * * *`;
  if (minutes < 1_440) return `7 */${longest([1, 2, 3, 4, 6, 8, 12], minutes / 60)} * * *`;
  return '7 3 * * *';
}

/**
 * The jobs of a policy: a batch of the archive every minute, as large as gives the best rate (about
 * half a second), and pruning once an hour: each is one statement of the schema's functions; and a REFRESH of each
 * materialized view. pg_cron needs nothing of the console.
 */
export function cronJobs(
  schema: string,
  policy: RetentionPolicy,
  copies: readonly string[] = [],
  refreshMinutes = 60,
): CronJob[] {
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
    ...(copies.length === 0
      ? []
      : [
          {
            name: name('refresh'),
            schedule: refreshSchedule(refreshMinutes),
            command: copies.map((copy) => `${refreshStatement(copy)};`).join(' '),
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
    [['archive', 'prune', 'refresh'].map((action) => `trace-console ${action} ${schema}`)],
  );
  return rows;
}

/** Whether what is scheduled is what the policy says now. */
export function isCurrent(scheduled: readonly CronJob[], wanted: readonly CronJob[]): boolean {
  const text = (jobs: readonly CronJob[]) =>
    jobs.map(({ name, schedule, command }) => `${name} ${schedule} ${command}`).sort();
  return JSON.stringify(text(scheduled)) === JSON.stringify(text(wanted));
}
