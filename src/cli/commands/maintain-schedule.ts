import { ConsoleError, exitCodes, type ExitCode } from '../../db/errors.js';
import { cronJobs, isCurrent, readJobs } from '../../maintenance/retention/cron-jobs.js';
import { readPolicy } from '../../maintenance/retention/policy.js';
import { formatTimestamp } from '../../shared/format/time.js';
import { defineCommand, type CommandContext } from '../command.js';
import { plainTable } from '../plain-table.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

export const maintainSchedule = defineCommand({
  name: 'maintain schedule',
  summary: 'let pg_cron carry the retention policy out',
  usage: '[show | set | clear] [--dry-run] [--yes] [--json]',
  description: [
    'Where pg_cron is in the database: "set" schedules what the stored policy says, "show" lists the jobs',
    'with their latest run, "clear" removes them. With --json show prints {"current", "jobs": [{…}]};',
    'current: the jobs are as the policy is now.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console maintain schedule set --dry-run', 'trace-console maintain schedule'],
  run(context) {
    const [word = 'show'] = context.input;
    switch (word) {
      case 'show':
        return show(context);
      case 'set':
        return runActionCommand('schedule', context, {});
      case 'clear':
        return runActionCommand('unschedule', context, {});
      default:
        throw new ConsoleError('usage', `A schedule is shown, set or cleared, not "${word}".`);
    }
  },
});

async function show({
  flags,
  openDatabase,
  print,
}: CommandContext<typeof actionFlags>): Promise<ExitCode> {
  const database = await openDatabase();
  const { schema } = database.capabilities;
  const { jobs, policy } = await database.transaction({ readOnly: true }, async (tx) => ({
    jobs: await readJobs(tx, schema),
    policy: await readPolicy(tx, schema),
  }));
  const current = isCurrent(jobs, policy ? cronJobs(schema, policy) : []);
  if (flags.json) {
    print(safeJson({ current, jobs }, 2));
    return exitCodes.good;
  }
  if (jobs.length === 0) print('No job of the console is scheduled on this schema.');
  else {
    print(
      plainTable(
        ['Job', 'Schedule', 'Role', 'Latest run', 'Result'],
        jobs.map((job) =>
          [
            job.name,
            job.active ? job.schedule : `${job.schedule} (off)`,
            job.role,
            formatTimestamp(job.lastStartedAt),
            [job.lastStatus, job.lastMessage].filter((text) => text !== null).join(': ') || '–',
          ].map((text) => safeText(text)),
        ),
      ),
    );
    for (const { command } of jobs) print(`  ${safeText(command)}`);
  }
  if (!current) print('They differ from the policy: "maintain schedule set" schedules it anew.');
  return exitCodes.good;
}
