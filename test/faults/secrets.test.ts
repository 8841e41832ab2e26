import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { encodeValue } from '../../src/live/recording/frame.js';
import { LiveEngine } from '../../src/live/engine.js';
import { Recorder } from '../../src/live/recording/recording.js';
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
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-secrets-'));
  const session = (args: string[], DATABASE_URL = url) => {
    let timer: NodeJS.Timeout | undefined;
    const running = runCli(args, {
      env: { DATABASE_URL, XDG_STATE_HOME: folder, TRACE_CONSOLE_SPOOL: join(folder, 'spool') },
      onStart: () => (timer = setInterval(() => titles.push(titlesNow()), 50)),
    });
    return running.finally(() => clearInterval(timer));
  };
  const results = [
    await session(['status', '--json']),
    await session(['doctor']),
    await session(['reindex', 'execution_traces_pkey', '--yes']),
    await session(['runs', '--json']),
    await session(['traces', '--json']),
    await session(['metrics']),
    await session(['export', 'otlp']),
    await session(['collect', '--once']),
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
    0,
    0,
    0,
    3,
    3,
    2,
    3,
  ]);
  expect(titles.join('\n')).toContain('main.js');

  const database = await openDatabase({ url });
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1 });
  const recorder = new Recorder(join(folder, 'recording'), database.address);
  recorder.follow(engine);
  engine.start();
  await expect.poll(() => engine.getState().vitals, { timeout: 20_000 }).not.toBeNull();
  const journal = await runOnce(url, 'SELECT r::text FROM trace_console.maintenance_runs AS r');
  expect(journal).toHaveLength(1);
  const found = Object.entries({
    output: inspect(results, { maxStringLength: null }),
    titles: titles.join('\n'),
    journal: inspect(journal),
    recording: readFileSync(recorder.file, 'utf8') + JSON.stringify(encodeValue(engine.getState())),
    'files of the console': filesBelow(folder),
    printed: inspect(database, { depth: 12, showHidden: false }),
    statements: inspect(database.statements, { depth: 12 }),
    sessions: inspect(await runOnce(url, 'SELECT * FROM pg_stat_activity')),
    'log of the server': server.log().replace(/^.*(CREATE|ALTER) ROLE.*$/gm, ''),
  }).filter(([, text]) => text.includes(planted));
  expect(found.map(([where]) => where)).toEqual([]);
  recorder.close();
  await engine.stop();
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The titles of all processes that there are. */
function titlesNow(): string {
  const read = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(read)
    .join('\n');
}

/** What stands in all files below a folder. */
function filesBelow(folder: string): string {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}
