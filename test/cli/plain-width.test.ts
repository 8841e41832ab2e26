import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Command, CommandContext, FlagDeclarations } from '../../src/cli/command.js';
import { parseCommand } from '../../src/cli/command-line.js';
import { commandHelp, overviewHelp } from '../../src/cli/command.js';
import { noConfig, settingsFor } from '../../src/cli/config/settings.js';
import { commands } from '../../src/cli/registry.js';
import { plainText, shellLines } from '../../src/cli/safe-text.js';
import { resolveSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { ConsoleError } from '../../src/db/errors.js';
import { runDemo } from '../../src/demo/run.js';
import { previewAction, runAction } from '../../src/maintenance/registry.js';
import { drain } from '../../src/cli/run-action.js';
import { displayWidth } from '../../src/terminal/width.js';
import { createTestDatabase } from '../helpers/database.js';
import { runCli } from '../helpers/cli.js';

const session = '0af76519-16cd-43dd-8448-eb211c80319c';
const trace = 'aaaaaaaa-16cd-43dd-8448-eb211c80319c';

/** What is typed behind a command that prints for people; nothing of it changes anything. */
const printing: Readonly<Record<string, readonly (readonly string[])[]>> = {
  status: [['--all', '--window', '7d', '--group', 'project']],
  doctor: [[]],
  trace: [[trace]],
  traces: [
    ['--since', '7d'],
    ['--session', session],
  ],
  prompts: [['--since', '7d']],
  compare: [['30m ago', '--window', '30m']],
  archive: [['--older-than', '1m', '--dry-run']],
  'archive list': [[]],
  'archive restore': [['--since', '2026-01-01', '--dry-run']],
  'archive purge': [['--older-than', '1d', '--dry-run']],
  'archive import': [
    ['/no/such/folder/of/exports/traces-of-the-year-before-last.jsonl', '--dry-run'],
  ],
  reindex: [['--vectors', '--dry-run']],
  'close-stuck': [['--older-than', '1m', '--dry-run']],
  'backend cancel': [['2147483647', '--dry-run']],
  'backend terminate': [['2147483647', '--dry-run']],
  prune: [['--dry-run']],
  analyze: [['--dry-run']],
  vacuum: [['--dry-run']],
  maintain: [['--once', '--dry-run', '--any-time']],
  'maintain policy': [[], ['set', '--archive-after', '90d', '--dry-run']],
  'maintain schedule': [[]],
  runs: [[], ['1'], ['77']],
  'runs resume': [['1', '--dry-run']],
  'schema apply': [['--dry-run']],
  'schema verify': [[]],
  'schema materialize': [
    ['agent_performance', 'error_analysis', 'dashboard_summary', '--dry-run'],
    ['--refresh', '--dry-run'],
  ],
  'schema reset': [['--dry-run']],
  keys: [[]],
  import: [['--dry-run']],
  reprice: [['--since', '30d', '--dry-run']],
  'import otlp': [['/no/such/file.jsonl', '--dry-run']],
  demo: [['--backfill', '120d'], ['--remove']],
  'collect status': [[]],
  'hooks install': [['claude', '--dry-run']],
  'hooks remove': [['claude', '--dry-run']],
  'hooks status': [[]],
  'embedded status': [[]],
  'embedded stop': [[]],
  'embedded export': [['/no/such/folder/trace-console-embedded-database-of-a-test.sql']],
  learn: [['--dry-run']],
  'learn calibrate': [['--dry-run']],
  'learn merge': [['--dry-run']],
  suggest: [['The login test is flaky, make it deterministic']],
  feedback: [['ffffffff', 'good']],
  'mcp install': [['claude', '--dry-run']],
  'mcp remove': [['claude', '--dry-run']],
  'mcp status': [[]],
};

const others: Readonly<Record<string, string>> = {
  console: 'draws the screen',
  replay: 'draws the screen',
  collect: 'goes on until it is stopped',
  fleet: 'asks the connections of a config file, of which there is none here',
  hook: 'prints nothing',
  mcp: 'speaks a protocol',
  'embedded import-to': 'asks for the embedded database first',
  'schema bundle': 'prints a file',
  'export otlp': 'prints a file',
  metrics: 'prints a file',
  completion: 'prints a file',
  man: 'prints a file',
};

let database: Database;
let url: string;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'trace-console-plain-'));
  const test = await createTestDatabase();
  url = test.url;
  const source = resolveSource({ url, environment: {} });
  if (source.kind === 'embedded') throw new Error('a URL names a server');
  database = await Database.open(source, {});
  await runDemo(database, { backfillMs: 2 * 3_600_000, traces: 120, seed: 3 });
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, prompt_text, project, user_id, error_type, error_message, started_at)
     VALUES ($1, $1, $2, 'test', 'failed', repeat('漢字 und ≤ Wörter ', 40), repeat('漢字', 40), repeat('long-name-', 30), repeat('Error', 30), repeat('e', 3000), now() - interval '5 minutes')`,
    [trace, session],
  );
  await test.query(`CREATE INDEX "a long name of an index, it's" ON error_patterns (error_type)`);
  const context = { database, signal: new AbortController().signal };
  await previewAction('analyze', context, { tables: ['error_patterns'] });
  await drain(runAction('analyze', context, { tables: ['error_patterns'] }), () => undefined);
});

afterAll(async () => {
  await database.close();
  rmSync(home, { recursive: true });
});

const locales = ['C', 'POSIX', 'C.UTF-8'];

/** What a text is on stdout in each locale, line by line. */
function shown(text: string): [locale: string, line: string][] {
  return locales.flatMap((locale) => {
    vi.stubEnv('LC_ALL', locale);
    return plainText(text)
      .split('\n')
      .map((line): [string, string] => [locale, line]);
  });
}

/** Runs a command as the program does, on the database of this test; all that it says, errors too. */
async function run(command: Command, argv: readonly string[]): Promise<string> {
  const said: string[] = [];
  const { flags, input } = parseCommand(command, argv);
  const context = {
    ...{ flags, input, commands, interactive: false },
    settings: settingsFor(noConfig, flags),
    signal: new AbortController().signal,
    hint: (text) => text,
    print: (line) => said.push(line),
    note: (line) => said.push(line),
    progress: (line) => said.push(line),
    ask: () => Promise.reject(new Error('nobody to ask')),
    openDatabase: () => Promise.resolve(database),
    connections: () => {
      throw new Error('only for the screen');
    },
  } satisfies CommandContext<FlagDeclarations>;
  try {
    await command.run(context);
  } catch (error) {
    if (!(error instanceof ConsoleError)) throw error;
    said.push(`error: ${error.message}`, `hint: ${error.hint ?? ''}`);
  }
  return said.join('\n');
}

function problems(text: string, width: number): string[] {
  return shown(text).flatMap(([locale, line]) => {
    const allowed = locale === 'C.UTF-8' ? /^\P{Cc}*$/u : /^[ -~]*$/;
    const isGood = displayWidth(line) <= width && allowed.test(line);
    return isGood ? [] : [`${locale}: ${line}`];
  });
}

describe('what is printed', () => {
  it('is listed here for every command', () => {
    expect([...Object.keys(printing), ...Object.keys(others)].sort()).toEqual(
      commands.map(({ name }) => name).sort(),
    );
  });

  it.each([60, 80, 120])('fits into %i columns and the locale, of every command', async (width) => {
    vi.stubEnv('COLUMNS', String(width));
    vi.stubEnv('HOME', home);
    vi.stubEnv('XDG_DATA_HOME', undefined);
    vi.stubEnv('XDG_STATE_HOME', undefined);
    const found: Record<string, string[]> = {};
    const silent: string[] = [];
    for (const { name, load } of commands) {
      const command = await load();
      const texts = [await commandHelp(command)];
      for (const argv of printing[name] ?? []) {
        const text = await run(command, argv);
        if (text === '') silent.push([name, ...argv].join(' '));
        texts.push(text);
      }
      const bad = texts.flatMap((text) => problems(text, width));
      if (bad.length > 0) found[name] = bad;
    }
    const overview = problems(overviewHelp(commands), width);
    expect(found).toEqual({});
    expect(silent).toEqual([]);
    expect(overview).toEqual([]);
  });

  it('is whole in a file: nothing is cut where lines have no end', async () => {
    const { stdout } = await runCli(['traces', '--session', session, '--url', url]);
    expect(stdout).toContain('漢字'.repeat(40));
    const cut = await runCli(['traces', '--session', session, '--url', url], {
      env: { COLUMNS: '60', LC_ALL: 'C' },
    });
    expect(cut.stdout).toContain(trace);
    expect(cut.stdout).toMatch(/~( |\n)/);
    expect(cut.stdout).toMatch(/^no room for: .*source/m);
    expect(Math.max(...cut.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});

describe('a command to copy', () => {
  const value = `it's ${'long '.repeat(12)}"a name with blanks" ${'x'.repeat(70)} ${"'a literal with blanks' ".repeat(3)}`;
  const quoted = `'${value.replaceAll("'", String.raw`'\''`)}'`;

  it.each([20, 40, 60, 80, 200])('is the same to a shell in %i columns', (width) => {
    const lines = shellLines(
      `printf '[%s]' postgresql://user@host:5432/${'d'.repeat(50)} -c ${quoted} end`,
      width,
    );
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(width);
    const said = execFileSync('sh', ['-c', lines.join('\n')], { encoding: 'utf8' });
    // Within the quotes a blank of the SQL may be a line's end.
    expect(said.replaceAll('\n', ' ')).toBe(
      `[postgresql://user@host:5432/${'d'.repeat(50)}][-c][${value}][end]`,
    );
  });
});
