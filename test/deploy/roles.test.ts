import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import type { Pane } from '../../src/panes/contract/pane.js';
import { panes } from '../../src/panes/registry.js';
import { openDatabase, readFresh } from '../panes/open.js';
import { wantedMajor } from '../helpers/provision.js';
import { runOnce } from '../helpers/template.js';

let server: PrivateServer;
let url: string;

beforeAll(async () => {
  server = await startPrivateServer();
  url = await server.createDatabase('traces', { schema: false });
  const { exitCode, stderr } = await runCli(['schema', 'apply', '--roles', '--yes', '--url', url]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  await runCli(['schema', 'materialize', '--yes', '--url', url]);
  for (const kind of ['reader', 'writer', 'maintainer']) {
    await runOnce(url, `CREATE ROLE a_${kind} LOGIN PASSWORD 'p' IN ROLE trace_console_${kind}`);
  }
});
afterAll(async () => {
  await server.stop();
});

function as(kind: string): string {
  const changed = new URL(url);
  changed.username = `a_${kind}`;
  changed.password = 'p';
  return changed.href;
}

const trace = `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
  VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test')`;

it.each([
  ['read the traces', 'SELECT * FROM execution_traces', 'reader writer maintainer'],
  ['read a view', 'SELECT * FROM dashboard_summary', 'reader maintainer'],
  [
    'read a copy of one',
    'SELECT * FROM trace_console.public_agent_performance',
    'reader maintainer',
  ],
  ['read the archive', 'SELECT * FROM execution_traces_archive', 'reader maintainer'],
  ['read the journal', 'SELECT * FROM trace_console.maintenance_runs', 'reader maintainer'],
  ['write a trace', trace, 'writer maintainer'],
  ['end a trace', `UPDATE execution_traces SET status = 'completed'`, 'writer maintainer'],
  ['delete traces', 'DELETE FROM execution_traces', 'maintainer'],
  ['archive', `SELECT * FROM archive_traces('90 days')`, 'maintainer'],
  ['prune', 'SELECT * FROM prune_patterns()', 'maintainer'],
  ['show a timeline', 'SELECT * FROM get_trace_timeline(gen_random_uuid())', 'reader maintainer'],
  ['find patterns', 'SELECT * FROM find_similar_patterns(NULL)', 'reader writer maintainer'],
  ['alter a table', 'ALTER TABLE execution_traces ADD COLUMN mine text', ''],
  ['create a table', 'CREATE TABLE mine ()', ''],
  ['truncate', 'TRUNCATE execution_traces CASCADE', ''],
])('may %s: only the roles that need it', async (_what, sql, allowed) => {
  const able: string[] = [];
  for (const kind of ['reader', 'writer', 'maintainer']) {
    await runOnce(as(kind), sql).then(
      () => able.push(kind),
      (error: unknown) => {
        expect((error as { code: string }).code).toBe('42501');
      },
    );
  }
  expect(able.join(' ')).toBe(allowed);
});

it('shows a reader and a maintainer every pane, and says to a writer what it may not read', async () => {
  const refused: Record<string, string[]> = {};
  for (const kind of ['reader', 'writer', 'maintainer']) {
    const database = await openDatabase(as(kind));
    refused[kind] = [];
    for (const pane of panes) {
      await readFresh(database, pane as Pane).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'privilege_missing' });
        refused[kind]?.push(pane.id);
      });
    }
  }
  expect(refused).toMatchObject({ reader: [], maintainer: [] });
});

/** Something for archive and close-stuck to do. */
const due = `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
  SELECT gen_random_uuid(), id, id, 'test', status, now() - interval '100 days'
  FROM (VALUES ('completed'), ('in_progress')) AS row (status), gen_random_uuid() AS id`;

const all = 'reader writer maintainer';

/** By MAINTAIN, which came with PostgreSQL 17: before, only the owner may. */
const maintains = wantedMajor() < 17 ? '' : 'maintainer';

const commands: readonly (readonly [args: string, allowed: string])[] = [
  ['status --json', 'reader maintainer'],
  ['traces --json', all],
  ['trace TRACE --json', 'reader maintainer'],
  ['compare 00:00 --json', all],
  ['metrics', all],
  // With 1 it has found something.
  ['doctor --json', all],
  ['runs --json', 'reader maintainer'],
  ['maintain policy --json', all],
  ['schema apply --dry-run', all],
  ['archive list --json', 'reader maintainer'],
  ['schema verify', all],
  ['archive --older-than 90d --yes', 'maintainer'],
  ['prune --yes', 'maintainer'],
  ['analyze --yes', maintains],
  ['vacuum --yes', maintains],
  ['close-stuck --yes', 'writer maintainer'],
  ['schema materialize --refresh --yes', maintains],
  ['schema materialize --drop --yes', ''],
  ['reindex idx_error_type --yes', maintains],
];

it.each(commands)(
  'the command "%s" is done for some, and refused to others in words',
  async (args, allowed) => {
    const able: string[] = [];
    for (const kind of ['reader', 'writer', 'maintainer']) {
      await runOnce(url, due);
      const [trace] = await runOnce<{ id: string }>(
        url,
        'SELECT correlation_id AS id FROM execution_traces LIMIT 1',
      );
      const words = args.replace('TRACE', trace?.id ?? '').split(' ');
      const run = await runCli([...words, '--url', as(kind)]);
      const isDone = args.startsWith('doctor')
        ? run.stdout.includes('"checks":')
        : run.exitCode === 0;
      if (isDone) able.push(kind);
      else expect([args.startsWith('status') ? 1 : 4, args]).toEqual([run.exitCode, args]);
      expect(run.stderr).not.toMatch(/ at .*\.js:/);
    }
    expect(able.join(' ')).toBe(allowed);
  },
);

it('serves the console: a reader looks, a maintainer archives and vacuums, with a journal', async () => {
  expect(await runCli(['status', '--json', '--url', as('reader')])).toMatchObject({ exitCode: 0 });
  // Written after the roles tried to delete what there was.
  await runOnce(
    url,
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'test', 'completed', now() - interval '100 days' FROM gen_random_uuid() AS id`,
  );
  const refused = await runCli(['archive', '--older-than', '90d', '--yes', '--url', as('reader')]);
  expect(refused.exitCode).not.toBe(0);
  const does = maintains === '' ? [] : [['analyze'], ['vacuum']];
  for (const args of [['archive', '--older-than', '90d'], ...does]) {
    const { exitCode, stderr } = await runCli([...args, '--yes', '--url', as('maintainer')]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }
  const runs = await runOnce(
    url,
    'SELECT action, role::text FROM trace_console.maintenance_runs ORDER BY id',
  );
  expect(runs.map(({ action }: { action?: string }) => action)).toEqual(
    expect.arrayContaining(['archive', ...does.flat()]),
  );
});

it('keeps a materialized view to its owner where policies filter, and says so before', async () => {
  const copy = 'SELECT FROM trace_console.public_agent_performance';
  const leaking = async () =>
    JSON.parse(
      (await runCli(['doctor', '--check', 'leaking-views', '--json', '--url', url])).stdout,
    ) as { checks: { severity: string; command: string | null }[] };
  expect(await leaking()).toMatchObject({ checks: [{ severity: 'good' }] });
  await runOnce(url, 'ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY');
  const [found] = (await leaking()).checks;
  expect(found?.severity).toBe('warning');
  expect(found?.command).toContain(
    'REVOKE ALL ON "trace_console"."public_agent_performance" FROM trace_console_maintainer, trace_console_reader;',
  );
  // The policy's own way: what is made anew, or granted anew, is for nobody else.
  await runCli(['schema', 'apply', '--roles', '--yes', '--url', url]);
  for (const kind of ['reader', 'maintainer']) {
    await expect(runOnce(as(kind), copy)).rejects.toMatchObject({ code: '42501' });
  }
  expect(await leaking()).toMatchObject({ checks: [{ severity: 'good' }] });
  await runCli(['schema', 'materialize', '--drop', '--yes', '--url', url]);
  const made = await runCli(['schema', 'materialize', '--yes', '--url', url]);
  expect(made.stdout).toContain('only its owner may read it');
  await expect(runOnce(as('reader'), copy)).rejects.toMatchObject({ code: '42501' });
});
