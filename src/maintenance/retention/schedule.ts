import { ConsoleError } from '../../db/errors.js';
import type { Database, Queryable } from '../../db/database.js';
import type { Action } from '../action.js';
import { cronJobs, readJobs, type CronJob } from './cron-jobs.js';
import { readPolicy } from './policy.js';

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
  const wanted = cronJobs(schema, policy);
  const names = new Set(wanted.map(({ name }) => name));
  return { wanted, obsolete: present.filter(({ name }) => !names.has(name)) };
}

/** Lets pg_cron carry the policy out: one job for the archive, one for pruning, in place of those before. */
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
