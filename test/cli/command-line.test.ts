import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findCommand, parseCommand } from '../../src/cli/command-line.js';
import { commands } from '../../src/cli/registry.js';
import { fingerprint } from '../deploy/helpers.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';

describe('finding the command', () => {
  it.each([
    [['schema', 'verify', '--json'], 'schema verify', ['--json']],
    [['--url', 'schema', 'status'], 'status', ['--url', 'schema']],
    [['--constructor', 'schema', 'verify'], 'schema verify', ['--constructor']],
    [
      ['--url=x', '--json', 'archive', '--older-than', '1d'],
      'archive',
      ['--url=x', '--json', '--older-than', '1d'],
    ],
    [['reindex', 'status'], 'reindex', ['status']],
  ])('%j', (argv, name, rest) => {
    expect(findCommand(argv)).toMatchObject({ kind: 'command', entry: { name }, argv: rest });
  });

  it('tells a group, an unknown word and no command apart', () => {
    expect(findCommand(['schema'])).toEqual({ kind: 'group', name: 'schema' });
    expect(findCommand(['schema', 'nonsense'])).toMatchObject({
      kind: 'unknown',
      name: 'schema nonsense',
    });
    expect(findCommand(['nonsense'])).toEqual({
      kind: 'unknown',
      name: 'nonsense',
      nearest: undefined,
    });
    expect(findCommand(['--read-only'])).toEqual({ kind: 'none', argv: ['--read-only'] });
  });
});

describe('the registry', () => {
  it('says of each command what its file says', async () => {
    for (const { name, summary, load } of commands) {
      expect(await load(), name).toMatchObject({ name, summary });
    }
  });
});

describe('help', () => {
  it('lists every command', async () => {
    const { stdout, exitCode } = await runCli(['--help']);
    expect(exitCode).toBe(0);
    for (const { name, summary } of commands) {
      expect(stdout).toContain(name);
      expect(stdout).toContain(summary);
    }
  });

  it.each(commands.map(({ name }) => name))(
    'of %s has usage, flags and exit codes',
    async (name) => {
      // With flags beside it: nothing may be carried out when somebody asks what it would do.
      const flags = ['--url', 'postgres://127.0.0.1:1/none', '--help', '--yes'];
      const help = await runCli([...name.split(' '), ...flags]);
      expect(help.exitCode).toBe(0);
      expect(help.stdout).toContain(`Usage: trace-console ${name}`);
      expect(help.stdout).toContain('--url URL');
      expect(help.stdout).toContain('Exit codes: 0 ok, 1 problems found');
    },
  );
});

describe('a word that is asked about', () => {
  it('help NAME is NAME --help, and help alone lists the commands', async () => {
    const asked = await runCli(['archive', 'list', '--help']);
    expect(await runCli(['help', 'archive', 'list'])).toMatchObject(asked);
    expect((await runCli(['help'])).stdout).toContain('Commands:');
  });

  it.each([
    [['statsu'], 'Did you mean "status"?'],
    [['schema', 'aply'], 'Did you mean "schema apply"?'],
    [['status', '--windw', '1h'], 'Did you mean --window?'],
  ])('%j is answered with the nearest there is, and exit code 2', async (argv, hint) => {
    const { exitCode, stderr } = await runCli(argv);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(hint);
  });
});

describe('a flag that is on or off', () => {
  it.each(['--json', '--json=1', '--json=true'])('%s prints the error as JSON', async (flag) => {
    const { exitCode, stdout } = await runCli(['statsu', flag]);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { hint: expect.stringContaining('status') as string },
    });
  });

  it('is off with =false, and nothing else with another word', async () => {
    expect((await runCli(['statsu', '--json=false'])).stdout).toBe('');
    expect((await runCli(['keys', '--json=maybe'])).stderr).toContain('--json is on or off');
  });
});

describe('the value of a flag', () => {
  it('may begin with a minus', () => {
    const status = commands.find(({ name }) => name === 'status');
    return status?.load().then((command) => {
      expect(parseCommand(command, ['--at', '-2h']).flags).toMatchObject({ at: '-2h' });
    });
  });
});

describe('the version', () => {
  it('is printed alone or behind a command', async () => {
    const alone = await runCli(['--version']);
    expect(await runCli(['-v'])).toMatchObject({ exitCode: 0, stdout: alone.stdout });
    expect(alone).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
    expect(await runCli(['archive', '--yes', '--version'])).toMatchObject({
      exitCode: 0,
      stdout: alone.stdout,
    });
  });
});

describe('wrong usage', () => {
  it.each([
    [['nonsense'], /no command "nonsense"/],
    [['schema', 'verify', 'extra'], /Unexpected argument: extra/],
    [['schema', 'verify', '--pool-size', 'many'], /--pool-size takes a number/],
    [['schema', 'verify', '--pool-size', '21'], /from 5 to 20/],
    [['schema', 'verify', '--url', ''], /--url/],
    [['schema', 'verify', '--url', 'a', '--url', 'b'], /only be set once/],
    [['reindex'], /Which index/],
  ])('%j exits 2 and says what is wrong', async (argv, message) => {
    const { exitCode, stderr, stdout } = await runCli(argv);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });

  it('is JSON too, where the result would have been', async () => {
    const { exitCode, stdout, stderr } = await runCli(['reindex', '--json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'usage' } });
    expect(stderr).toBe('');
  });
});

describe('the environment', () => {
  it('names the database, and --env-file goes before it', async () => {
    const test = await createTestDatabase();
    const envFile = join(mkdtempSync(join(tmpdir(), 'trace-console-env-')), '.env');
    writeFileSync(envFile, `DATABASE_URL=\nTRACEABILITY_DB_URL=${test.url}\n`);
    const env = { DATABASE_URL: 'postgresql://u@127.0.0.1:1/d' };
    const lost = await runCli(['schema', 'verify'], { env });
    expect(lost.exitCode).toBe(3);
    expect(lost.stderr).toContain('127.0.0.1:1');
    const found = await runCli(['schema', 'verify', '--env-file', envFile], { env });
    expect(found.exitCode).toBe(0);
  });
});

describe('without a command and without a terminal', () => {
  it('creates the schema in an empty database and prints one status', async () => {
    const test = await createTestDatabase({ schema: false });
    const { exitCode, stdout, stderr } = await runCli(['--url', test.url]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr).toContain('013_archive.sql: applied');
    expect(stdout).toMatch(/recent traces/i);
  });

  it('exits 4 beside objects of others, names the command, and changes nothing', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query('CREATE TABLE invoices (n int)');
    const before = await fingerprint(test);
    const { exitCode, stderr } = await runCli(['--url', test.url]);
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(/trace-console schema apply --url postgresql:\S+ --yes/);
    expect(await fingerprint(test)).toEqual(before);
  });
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends an apply that waits its turn',
    async (signal) => {
      const test = await createTestDatabase({ schema: false });
      const other = await test.pool.connect();
      await other.query('BEGIN');
      await other.query("SELECT pg_advisory_xact_lock($1, hashtext('public'))", [0x74726373]);
      // Killed outright when the signal does nothing, so that the test says which it was.
      let last: NodeJS.Timeout | undefined;
      const { exitCode, signalled } = await runCli(['schema', 'apply', '--url', test.url], {
        onStart: (child) => {
          child.stdout?.once('data', () => {
            setTimeout(() => child.kill(signal), 300);
            last = setTimeout(() => child.kill('SIGKILL'), 10_000);
          });
        },
      });
      clearTimeout(last);
      await other.query('ROLLBACK');
      other.release();
      expect({ exitCode, signalled }).toEqual({ exitCode: null, signalled: signal });
      expect(await fingerprint(test)).toEqual([]);
    },
  );
});

describe('what the database says', () => {
  it('reaches the terminal without its control characters, by no command', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query(`CREATE DOMAIN U&"red\\001b[31m\\009b2J\\007f" AS uuid`);
    await test.query(
      `CREATE TABLE execution_traces (id uuid, correlation_id U&"red\\001b[31m\\009b2J\\007f")`,
    );
    for (const command of ['verify', 'apply', 'reset']) {
      for (const more of [[], ['--json']]) {
        const args = ['schema', command, ...more, '--url', test.url];
        const { stdout, stderr } = await runCli(args);
        expect(stdout + stderr, args.join(' ')).toContain('red');
        // eslint-disable-next-line no-control-regex
        expect(stdout + stderr, args.join(' ')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
      }
    }
  });
});

it('takes a flag without its value where that may be left out, and only there', async () => {
  const status = await commands.find(({ name }) => name === 'status')?.load();
  if (!status) throw new Error('there is no status');
  expect(parseCommand(status, ['--watch']).flags.watch).toBe('');
  expect(() => parseCommand(status, ['--window'])).toThrow('--window needs a value.');
});
