import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { noConfigFile, runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';

type Result = { exitCode: number | null; stderr: string };

/** Runs a line of bash in which $CONSOLE is the program; its exit code is that of the program. */
function shell(line: string, env: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const program = `"${process.execPath}" "${join(inject('programs'), 'main.js')}"`;
    const script = `console() { ${program} "$@"; }; ${line}; exit \${PIPESTATUS[0]}`;
    const child = spawn('bash', ['-c', script], {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...noConfigFile, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stderr }));
  });
}

describe('output that cannot be written', () => {
  it.each(['--help', '--version', 'schema bundle'])(
    'is one line on a full disk, for %s',
    async (command) => {
      const { exitCode, stderr } = await shell(`console ${command} > /dev/full`);
      expect(stderr).toMatch(/^error: The output cannot be written: .*no space left.*\n$/i);
      expect(exitCode).toBe(1);
    },
  );

  it('is one line on a full disk, for the version that the launcher prints itself', async () => {
    const launcher = join(import.meta.dirname, '../../bin/trace-console.js');
    const { exitCode, stderr } = await shell(`"${launcher}" --version > /dev/full`);
    expect(stderr).toMatch(/^error: The output cannot be written: .*no space left.*\n$/i);
    expect(exitCode).toBe(1);
  });

  it('is no reason for a stack trace when errors cannot be written either', async () => {
    expect(await shell('console nonsense 2> /dev/full')).toEqual({ exitCode: 2, stderr: '' });
  });

  it('ends quietly when the reader has enough', async () => {
    expect(await shell('console schema bundle | head -c 10 > /dev/null')).toEqual({
      exitCode: 0,
      stderr: '',
    });
  });

  it('is one line on a full disk for a command that asks a database', async () => {
    const { url } = await createTestDatabase();
    const env = { DATABASE_URL: url };
    const { exitCode, stderr } = await shell('console status --json > /dev/full', env);
    expect(stderr).toMatch(/^error: The output cannot be written: .*\n$/);
    expect(exitCode).toBe(1);
  });
});

describe('a folder for events that is none', () => {
  it.each(['collect --once', 'collect status', 'hooks status'])(
    'is named by %s, without a stack',
    async (command) => {
      const { exitCode, stderr } = await shell(`console ${command}`, {
        TRACE_CONSOLE_SPOOL: '/dev/null',
      });
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(
        /^error: (The folder )?\/dev\/null\S* cannot be used: something on the way is a file, not a folder\.\n(hint: .*\n)?$|^error: The folder \/dev\/null is no folder\.\nhint: .*\n$/,
      );
    },
  );
});

describe('TRACE_CONSOLE_SPOOL that is not an absolute path', () => {
  it.each(['collect --once', 'collect status', 'hooks status', 'metrics'])(
    'is said by %s, which would look elsewhere than hooks do',
    async (command) => {
      const { url } = await createTestDatabase();
      const { exitCode, stderr } = await shell(`console ${command}`, {
        TRACE_CONSOLE_SPOOL: 'events',
        DATABASE_URL: url,
      });
      expect(stderr).toMatch(
        /^error: TRACE_CONSOLE_SPOOL is not an absolute path: events\nhint: Name the/,
      );
      expect(exitCode).toBe(2);
    },
  );
});

describe('a pipe into which nobody writes', () => {
  it('is named, and not waited for, where a file should be', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-pipes-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const pipe = join(folder, 'pipe');
    mkdirSync(join(folder, '.claude'));
    execFileSync('mkfifo', [pipe, join(folder, '.claude/settings.json')]);
    const url = 'postgresql://127.0.0.1:1/none';
    const lines = [
      `status --config ${pipe}`,
      `status --url '${url}?service=x&servicefile=${pipe}'`,
      `status --url '${url}?sslmode=verify-full&sslrootcert=${pipe}'`,
      `reprice --since 1d --prices ${pipe} --url ${url}`,
      `replay ${pipe}`,
      `import otlp ${pipe} --yes --dry-run --url ${(await createTestDatabase()).url}`,
      `archive import ${pipe} --yes --url ${(await createTestDatabase()).url}`,
      `hooks install claude --yes`,
      // A password file that is none is passed over, as by libpq.
      `status --url '${url}?passfile=${pipe}'`,
    ];
    const ended = await Promise.all(
      lines.map((line) => shell(`console ${line}`, { HOME: folder })),
    );
    const told = ended.map(({ exitCode, stderr }) => `${exitCode} ${stderr.split('\n')[0] ?? ''}`);
    const why = 'it is a pipe or device';
    const empty = `(${why} from which nothing comes)`;
    expect(told.map((line) => line.replaceAll(pipe, 'PIPE').replaceAll(folder, 'HOME'))).toEqual([
      `2 error: The config file cannot be read: PIPE ${empty}`,
      `2 error: The service file cannot be read: PIPE ${empty}`,
      `3 error: The root certificate cannot be read: PIPE ${empty}`,
      `2 error: The prices in PIPE cannot be read ${empty}.`,
      `2 error: The recording cannot be read: PIPE ${empty}`,
      `2 error: The file PIPE cannot be read: ${why}, not a file.`,
      `1 error: Reading PIPE failed: ${why}, not a file.`,
      `1 error: HOME/.claude/settings.json cannot be read ${empty}.`,
      `3 error: Nothing accepts connections at 127.0.0.1:1.`,
    ]);
  });
});

describe('a command of which nothing is left that could go on', () => {
  it.each([[[]], [['--json']]])('is an error, not done: %j', async (flags) => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-stuck-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    // A file system that never answers, and keeps nobody waiting.
    const stuck = join(folder, 'stuck.cjs');
    writeFileSync(
      stuck,
      `const fs = require('node:fs/promises');
       for (const name of ['readdir', 'stat'])
         fs[name] = () => new Promise(() => {});`,
    );
    const sessions = join(folder, 'sessions');
    mkdirSync(sessions);
    const result = await runCli(['import', 'claude', sessions, '--dry-run', ...flags], {
      env: { NODE_OPTIONS: `--require ${stuck}`, DATABASE_URL: 'postgresql://127.0.0.1:1/none' },
    });
    expect(result.exitCode).toBe(1);
    expect(result.stdout + result.stderr).toContain('The command stopped before its end.');
  });
});
