import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { encodeValue } from '../../src/live/recording/frame.js';
import { LiveEngine } from '../../src/live/engine.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';

const planted = 'pl4nted-s3cret';

it('a password stands in no output, error, title of a process, journal, log or recording', async () => {
  const server = await startPrivateServer({
    superuserPassword: planted,
    settings: { log_statement: 'all' },
  });
  const url = await server.createDatabase('traces');
  const titles: string[] = [];
  const session = (args: string[], DATABASE_URL = url) =>
    runCli(args, {
      env: { DATABASE_URL },
      onStart: ({ pid }) => titles.push(readFileSync(`/proc/${pid ?? 0}/cmdline`, 'utf8')),
    });
  const results = [
    await session(['status', '--json']),
    await session(['doctor']),
    await session(['reindex', 'execution_traces_pkey', '--yes']),
    await session(['runs', '--json']),
    await session(['traces', '--json']),
    await session(['status'], server.url('missing')),
    await session(['status'], url.replace(planted, `${planted}-wrong`)),
    await session(['status'], `${url}?sslmod=${planted}`),
    await session(['status'], url.replace(/:\d+\//, ':1/')),
  ];
  expect(results.map(({ exitCode }) => exitCode)).toEqual([
    0,
    expect.any(Number),
    0,
    0,
    0,
    3,
    3,
    2,
    3,
  ]);

  const database = await openDatabase({ url });
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1 });
  engine.start();
  await expect.poll(() => engine.getState().vitals, { timeout: 20_000 }).not.toBeNull();
  const journal = await runOnce(url, 'SELECT r::text FROM trace_console.maintenance_runs AS r');
  expect(journal).toHaveLength(1);
  const found = Object.entries({
    output: inspect(results, { maxStringLength: null }),
    titles: titles.join('\n'),
    journal: inspect(journal),
    recording: JSON.stringify(encodeValue(engine.getState())),
    printed: inspect(database, { depth: 12, showHidden: false }),
    statements: inspect(database.statements, { depth: 12 }),
    sessions: inspect(await runOnce(url, 'SELECT * FROM pg_stat_activity')),
    'log of the server': server.log().replace(/^.*(CREATE|ALTER) ROLE.*$/gm, ''),
  }).filter(([, text]) => text.includes(planted));
  expect(found.map(([where]) => where)).toEqual([]);
  await engine.stop();
  await database.close();
});
