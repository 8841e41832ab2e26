import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { noConfigFile } from '../helpers/cli.js';
import { spawn } from '../e2e/helpers/terminal.js';
import { createTestDatabase } from '../helpers/database.js';

let folder: string;
let program: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trace-console-launcher-'));
  cpSync(join(import.meta.dirname, '../../bin'), join(folder, 'bin'), { recursive: true });
  symlinkSync(inject('programs'), join(folder, 'dist'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  // As npm installs it: a link with the program's name.
  mkdirSync(join(folder, 'path'));
  program = join(folder, 'path/trace-console');
  symlinkSync('../bin/trace-console.js', program);
});

/** Runs the launcher as a shell would; it must end within the time, or the signal says that it hung. */
function launch(args: readonly string[], env: Record<string, string> = {}, of = program) {
  const { status, stdout, stderr, signal } = spawnSync(of, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
    env: { PATH: process.env.PATH, HOME: folder, ...noConfigFile, ...env },
  });
  return { status, stdout, stderr, signal };
}

it.each([['--env-file', 'missing.env'], ['--env-file=missing.env']])(
  'keeps %s from Node, which would end with code 9',
  (...flag) => {
    expect(launch(['schema', 'verify', ...flag])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--env-file cannot be read: missing.env') as string,
    });
  },
);

it('loads no code that the file names by NODE_OPTIONS, and connects by what it says', async () => {
  const test = await createTestDatabase();
  writeFileSync(join(folder, 'evil.cjs'), 'process.stdout.write("EVIL"); process.exit(0)');
  const file = join(folder, 'evil.env');
  writeFileSync(
    file,
    `NODE_OPTIONS=--require=${join(folder, 'evil.cjs')}\nDATABASE_URL=${test.url}\n`,
  );
  for (const flag of [['--env-file', file], [`--env-file=${file}`]]) {
    const { status, stdout } = launch(['schema', 'verify', ...flag, '--json']);
    expect(stdout).not.toContain('EVIL');
    expect({ status, result: JSON.parse(stdout) as unknown }).toMatchObject({
      status: 0,
      result: { ok: true },
    });
  }
});

it('loads what it needs later, also in a start that takes its code from what an earlier one compiled, and says nothing of it', async () => {
  const { url } = await createTestDatabase();
  const message = { id: 'm', model: 'claude-sonnet-4-5', role: 'assistant', content: [] };
  const usage = { input_tokens: 1, output_tokens: 1 };
  const line = { type: 'assistant', sessionId: 's', uuid: 'u', message: { ...message, usage } };
  const file = join(folder, 'session.jsonl');
  writeFileSync(file, `${JSON.stringify({ ...line, timestamp: new Date().toISOString() })}\n`);
  // The package with the prices lies beside the real program only.
  const real = join(import.meta.dirname, '../../bin/trace-console.js');
  const HOME = join(folder, 'kept');
  mkdirSync(HOME);
  // The name behind its flags: by itself a status has a program of its own.
  const run = (...args: string[]) => launch(['--json', '--url', url, ...args], { HOME }, real);
  expect(run('status')).toMatchObject({ status: 0, stderr: '' });
  const caches = join(HOME, '.cache/trace-console');
  const [kept = ''] = readdirSync(caches);
  copyFileSync(join(caches, kept), join(caches, kept.replace('status', 'console')));
  const { status, stdout, stderr } = run('import', file, '--dry-run');
  expect(JSON.parse(stdout)).toMatchObject({ modelCalls: 1, unpriced: [] });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it('prints a status as text and as JSON from what its own program compiled at an earlier start', async () => {
  const { url } = await createTestDatabase();
  const HOME = join(folder, 'kept-status');
  mkdirSync(HOME);
  const usage = { input_tokens: 1_000, output_tokens: 1 };
  const message = { id: 'm', model: 'claude-sonnet-4-5', role: 'assistant', content: [], usage };
  const own = { sessionId: 's', timestamp: new Date().toISOString(), cwd: '/p' };
  const lines = [
    { ...own, type: 'user', uuid: 'p', message: { role: 'user', content: 'go' } },
    { ...own, type: 'assistant', uuid: 'u', parentUuid: 'p', message },
  ];
  const file = join(folder, 'now.jsonl');
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const real = join(import.meta.dirname, '../../bin/trace-console.js');
  expect(launch(['import', file, '--yes', '--url', url], {}, real)).toMatchObject({ status: 0 });
  const run = (...args: string[]) =>
    launch(['status', '--url', url, '--pane', 'sessions', ...args], { HOME }, real);
  const told = { status: 0, stderr: '', stdout: expect.stringContaining('SESSIONS') as string };
  expect(run()).toMatchObject(told);
  const caches = join(HOME, '.cache/trace-console');
  const kept = () => readdirSync(caches).map((name) => [name, statSync(join(caches, name)).ino]);
  const atFirst = kept();
  expect(atFirst.map(([name]) => name)).toEqual([expect.stringMatching(/^status /)]);
  expect(run()).toMatchObject(told);
  const { status, stdout, stderr } = run('--json');
  // The context of a model is in the table of prices, which is loaded when a session needs it.
  const rows = [{ contextShare: expect.any(Number) as number }];
  expect(JSON.parse(stdout)).toMatchObject({ panes: { sessions: { rows } } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  // Nothing was compiled anew: the later starts took what was kept.
  expect(kept()).toEqual(atFirst);
});

it('prints one status by the program of its own and by that of all commands, and of a mistake the same', async () => {
  const { url } = await createTestDatabase();
  const outcome = (args: readonly string[]) => {
    const { status, stdout, stderr } = launch(args);
    const { panes = {}, error } = JSON.parse(stdout) as { panes?: object; error?: object };
    return { status, stderr, panes: Object.keys(panes), error };
  };
  const own = outcome(['status', '--json', '--url', url]);
  expect(own).toMatchObject({ status: 0, stderr: '', panes: { length: 6 } });
  expect(outcome(['--json', '--url', url, 'status'])).toEqual(own);
  const wrong = outcome(['status', '--json', '--url', url, '--pane', 'nothing']);
  expect(wrong).toMatchObject({ status: 2, error: { code: 'usage' } });
  expect(outcome(['--json', '--url', url, 'status', '--pane', 'nothing'])).toEqual(wrong);
  expect(launch(['status', '--help'])).toEqual(launch(['help', 'status']));
});

it.each(["it's", '$(touch x)', 'two words', '*', 'line\nbreak'])(
  'passes %j on as it is',
  (word) => {
    expect(launch(['schema', 'verify', word, '--json'])).toMatchObject({
      status: 2,
      stdout: expect.stringContaining(JSON.stringify(`Unexpected argument: ${word}`)) as string,
    });
  },
);

it('refuses a file that names no database, and creates nothing', () => {
  writeFileSync(join(folder, 'none.env'), 'COLOUR=red\nDATABASE_URL=\n');
  const { status, stderr } = launch(['schema', 'apply', '--yes', '--env-file', 'none.env']);
  expect({ status, stderr }).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/none\.env names no database[^]*DATABASE_URL/) as string,
  });
});

it('waits for no pipe that --env-file names and into which nobody writes', () => {
  spawnSync('mkfifo', [join(folder, 'pipe')]);
  expect(launch(['status', '--env-file', 'pipe'])).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/--env-file cannot be read: pipe \(it is a pipe/) as string,
  });
});

it.each([
  ['a home folder where nothing can be created', { HOME: '/proc/nobody' }, [], '/proc/nobody'],
  ['a file where the folder should be', {}, ['--data-dir', 'package.json'], 'package.json is no'],
  ['a file on the way', {}, ['--data-dir', 'package.json/x'], 'package.json/x cannot be used'],
])('says within a second what is wrong with %s', (_what, env, flags, message) => {
  const begun = performance.now();
  const { status, stderr, signal } = launch(['status', ...flags], env);
  expect({ status, signal, stderr }).toMatchObject({
    status: 3,
    signal: null,
    stderr: expect.stringMatching(new RegExp(`error: .*${message}[^]*hint: `)) as string,
  });
  // A second for the console, the rest for a machine with other work.
  expect(performance.now() - begun).toBeLessThan(10_000);
});

it.each(['null', '', '[]', '{"pid":-1}', '{"pid":1}'])(
  'names a lock file with %j, and what to do',
  (text) => {
    const data = mkdtempSync(join(folder, 'data-'));
    writeFileSync(join(data, 'daemon.lock'), text);
    const { status, stderr } = launch(['status', '--data-dir', data]);
    expect({ status, stderr }).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/lock file .*daemon\.lock is damaged[^]*remove/) as string,
    });
  },
);

it('goes on without a usual config that cannot be read, and says so', async () => {
  const test = await createTestDatabase();
  // A folder cannot be read as a file, by no user.
  mkdirSync(join(folder, 'config/trace-console/config.toml'), { recursive: true });
  const env = { XDG_CONFIG_HOME: join(folder, 'config') };
  expect(launch(['schema', 'verify', '--url', test.url], env)).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/without the config file.*config\.toml/) as string,
  });
  expect(launch(['schema', 'verify', '--connection', 'prod'], env)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/no connection "prod"[^]*cannot be read/) as string,
  });
});

it('keeps what it has compiled for its user alone, and compiles anew what was damaged or open to others', async () => {
  const test = await createTestDatabase();
  const home = mkdtempSync(join(folder, 'home-'));
  const caches = join(home, '.cache/trace-console');
  const run = () => {
    expect(launch(['status', '--json', '--url', test.url], { HOME: home }).status).toBe(0);
    return readdirSync(caches).map((name) => join(caches, name));
  };
  // Of builds before, of which the last two may still be in use.
  const ofOthers = ['first', 'second', 'third'].map((build, at) => {
    const name = join(caches, `status ${process.version} ${process.arch} ${build}`);
    mkdirSync(caches, { recursive: true, mode: 0o700 });
    writeFileSync(name, 'code');
    utimesSync(name, at, Date.now() / 1_000 - 60 + at);
    return name;
  });
  const [file = '', ...others] = run().filter((name) => !ofOthers.includes(name));
  expect(others).toEqual([]);
  expect(ofOthers.map((name) => existsSync(name))).toEqual([false, true, true]);
  expect([statSync(caches).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
  const whole = readFileSync(file);
  run();
  expect(readFileSync(file).equals(whole), 'what fits is left as it is').toBe(true);

  const damaged = Buffer.from(whole);
  damaged.fill(255, damaged.length / 2, damaged.length / 2 + 1_000);
  for (const bytes of [damaged, whole.subarray(0, 5_000)]) {
    writeFileSync(file, bytes);
    run();
    expect(readFileSync(file).length).toBeGreaterThan(whole.length / 2);
    expect(readFileSync(file).equals(bytes)).toBe(false);
  }

  chmodSync(file, 0o666);
  const { ino } = statSync(file);
  run();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(file).ino, 'another file').not.toBe(ino);

  chmodSync(caches, 0o777);
  writeFileSync(file, damaged);
  run();
  expect(readFileSync(file).equals(damaged), 'nothing is kept where others write').toBe(true);
});

it('takes what an earlier start of the console has compiled as it is', async () => {
  const test = await createTestDatabase();
  const home = mkdtempSync(join(folder, 'console-'));
  const start = async () => {
    const terminal = spawn(program, ['--url', test.url], { env: { HOME: home } });
    await terminal.waitFor('1 Recent traces');
    terminal.press('q');
    await terminal.waitForExit();
    await terminal.dispose();
    const caches = join(home, '.cache/trace-console');
    return readdirSync(caches).map((name) => [name, statSync(join(caches, name)).ino]);
  };
  const kept = await start();
  expect(kept).toMatchObject([[expect.stringMatching(/^console /), expect.any(Number)]]);
  expect(await start()).toEqual(kept);
});
