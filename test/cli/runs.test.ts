import { expect, it } from 'vitest';
import { maintenanceRuns } from '../../src/panes/maintenance-runs.js';
import { beginRun } from '../../src/maintenance/journal/journaled.js';
import { actions } from '../../src/maintenance/registry.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh } from '../panes/open.js';
import { addTrace } from '../schema/helpers/trace-rows.js';

it('the journal is listed, shown in full, and a crashed run is resumed from it', async () => {
  const test = await createTestDatabase();
  await addTrace(test, { tree: 'old' });
  const run = (...args: string[]) => runCli(['runs', ...args, '--url', test.url]);
  expect((await run()).stdout).toBe('No maintenance was done on this schema from a console yet.\n');
  const database = await openDatabase(test.url);
  const dies = await beginRun(database, actions.archive, { olderThan: '30 days' });
  expect(dies).toEqual({ kind: 'begun', id: 1 });
  expect(await run('resume', '1', '--yes')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('Run 1 is running') as string,
  });
  await test.query(
    `UPDATE trace_console.maintenance_runs SET lease_until = now() - interval '1 minute',
       progress = '{"phase": "moving\\u001b[31m traces", "done": 1, "total": 4}'`,
  );
  const crashed = await readFresh(database, maintenanceRuns);
  expect(crashed.rows).toMatchObject([{ id: 1, state: 'crashed', subject: 'older than 30 days' }]);
  const resumed = await run('resume', '1', '--yes', '--json');
  expect(JSON.parse(resumed.stdout)).toMatchObject({ moved: { execution_traces: 1 } });
  expect((await run('resume', '1', '--yes')).stderr).toContain('was resumed by run 2');

  const list = await run('--limit', '5');
  expect(list.stdout).toMatch(
    / 2 +\S+ \S+ +done +archive: older than 30 days .*Archived 1 trace and/,
  );
  expect(list.stdout).toMatch(/ 1 +\S+ \S+ +crashed +archive.*taken up again by run 2/);
  const [second, first] = JSON.parse((await run('--json')).stdout) as Record<string, unknown>[];
  expect(second).toMatchObject({ id: 2, state: 'done', resumes: 1, application: 'trace-console' });
  expect(first).toMatchObject({ id: 1, state: 'crashed', input: { olderThan: '30 days' } });
  const shown = await run('1');
  expect(shown.stdout).toMatch(/^Run +1, crashed\nAction +Archive old traces \(archive\)/);
  expect(shown.stdout).not.toContain('\u001b');
  expect(await run('99')).toMatchObject({ exitCode: 1 });
  expect(await run('--read-only')).toMatchObject({ exitCode: 0 });
});

it('an input that somebody wrote into the journal by hand is not run', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test.url);
  await beginRun(database, actions.archive, { olderThan: '30 days' });
  await test.query(
    `UPDATE trace_console.maintenance_runs SET lease_until = now() - interval '1 minute',
       input = '{"olderThan": "1 day''); DROP TABLE x"}'`,
  );
  const { stderr, exitCode } = await runCli(['runs', 'resume', '1', '--yes', '--url', test.url]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('Run 1 (archive) cannot be resumed');
});
