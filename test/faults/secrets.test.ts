import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { encodeValue } from '../../src/live/recording/frame.js';
import { LiveEngine } from '../../src/live/engine.js';
import { Recorder } from '../../src/live/recording/recording.js';
import { runCli, type CliResult } from '../helpers/cli.js';
import { runHook } from '../helpers/hook.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';
import { writeTranscripts } from '../ingest/claude-folder.js';
import { ClaudeLines, text } from '../ingest/claude-lines.js';
import { hookSession } from '../ingest/sources/payloads.js';

const planted = 'pl4nted-s3cret';

it('a password stands in no output, error, title of a process, journal, log or recording', async () => {
  const server = await startPrivateServer({
    superuserPassword: planted,
    settings: { log_statement: 'all' },
  });
  const url = await server.createDatabase('traces');
  const titles: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-secrets-'));
  // Faults of the program whose messages quote the password, also by itself; one ends up where nobody waits for it.
  const quoted = "process.env.DATABASE_URL + ' ' + new URL(process.env.DATABASE_URL).password";
  const breaking = (what: string) => {
    const file = join(folder, 'broken.cjs');
    writeFileSync(
      file,
      `const fail = () => { throw new Error(${quoted}) };
      require('net').Socket.prototype.connect = function () { ${what}; return this; }`,
    );
    return { NODE_OPTIONS: `--require=${file}` };
  };
  const session = (args: string[], DATABASE_URL = url, more: Record<string, string> = {}) => {
    let timer: NodeJS.Timeout | undefined;
    const running = runCli(args, {
      env: {
        ...{ DATABASE_URL, XDG_STATE_HOME: folder, TRACE_CONSOLE_SPOOL: join(folder, 'spool') },
        ...more,
      },
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
    await session(['status'], url, breaking('fail()')),
    await session(['status'], url, breaking('setImmediate(fail)')),
  ];
  expect(results.at(-2)?.stderr).toMatch(/^error: /);
  expect(results.at(-1)?.stderr).toMatch(/^error: \S+:\*{3}@\S+ \*{3}\nError: [^]*\n +at /);
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
    1,
    1,
  ]);
  expect(titles.join('\n')).toContain('main.js');

  const database = await openDatabase({ url });
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1 });
  const recorder = new Recorder(join(folder, 'recording'), database.address);
  recorder.follow(engine);
  engine.start();
  await expect.poll(() => engine.getState().vitals, { timeout: 50_000 }).not.toBeNull();
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

// Put together at run time: scanners of repositories take it for a real one.
const apiKey = ['sk', 'ant', 'api03', 'AbCdEf0123456789Zq7Xw9'].join('-');
const prompt = `deploy with ${apiKey} to postgres://app:${planted}@db.test/shop`;

describe.each(['a server', 'the embedded database'] as const)('on %s', (place) => {
  it('a key in a prompt, however it comes, and PGPASSWORD stand in nothing that is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-secrets-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const isEmbedded = place !== 'a server';
    const server = isEmbedded
      ? undefined
      : await startPrivateServer({
          superuserPassword: planted,
          settings: { log_statement: 'all', shared_preload_libraries: 'pg_stat_statements' },
        });
    const url = new URL((await server?.createDatabase('traces')) ?? 'postgresql://x');
    url.password = '';
    const dataDir = join(folder, 'embedded');
    const where = isEmbedded ? ['--data-dir', dataDir] : ['--url', url.href];
    const spool = join(folder, 'spool');
    const env = {
      HOME: folder,
      XDG_STATE_HOME: join(folder, 'state'),
      XDG_DATA_HOME: join(folder, 'data'),
      TRACE_CONSOLE_SPOOL: spool,
      ...(isEmbedded ? {} : { PGPASSWORD: planted }),
    };
    const outputs: CliResult[] = [];
    const run = async (...args: string[]) => {
      const result = await runCli([...args, ...where], { env });
      outputs.push(result);
      expect(result.exitCode, `${args.join(' ')}: ${result.stderr}`).toBe(0);
    };
    await run('schema', 'apply', '--yes');

    // By hooks, by a transcript, by telemetry; an event that nobody can read goes to the quarantine.
    const atMs = Date.now() - 86_400_000;
    for (const { event, payload } of hookSession('claude', 'by-hooks', atMs).slice(0, 6)) {
      const told = JSON.stringify({ ...payload, prompt });
      await runHook(told, {
        ...(event === undefined ? {} : { event }),
        env: { TRACE_CONSOLE_SPOOL: spool },
      });
    }
    await runHook(
      { hook_event_name: 'UserPromptSubmit', session_id: [prompt], prompt: { text: prompt } },
      {
        env: { TRACE_CONSOLE_SPOOL: spool },
      },
    );
    const transcripts = join(folder, 'transcripts');
    const lines = new ClaudeLines({
      session: '7d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3a',
      startMs: atMs,
    });
    lines.prompt(prompt, 'p1');
    lines.assistant('m1', [text(prompt)], { stop_reason: 'end_turn' });
    writeTranscripts(transcripts, new Map([['one.jsonl', lines.toString()]]));
    const telemetry = join(folder, 'spans.jsonl');
    const span = {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      name: `call ${prompt}`,
      startTimeUnixNano: `${atMs}000000`,
      endTimeUnixNano: `${atMs + 5}000000`,
      attributes: [
        { key: 'gen_ai.operation.name', value: { stringValue: 'invoke_agent' } },
        { key: 'gen_ai.prompt', value: { stringValue: prompt } },
        {
          key: 'gen_ai.input.messages',
          value: { stringValue: JSON.stringify([{ role: 'user', content: prompt }]) },
        },
      ],
      status: { code: 2, message: prompt },
    };
    const written = filesBelow(spool);
    writeFileSync(
      telemetry,
      JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
    );
    await run('collect', '--once');
    await run('import', 'claude', transcripts, '--yes');
    await run('import', 'otlp', telemetry, '--yes');
    rmSync(transcripts, { recursive: true });
    rmSync(telemetry);

    await run('learn');
    await run('traces', '--json');
    await run('export', 'otlp');
    await run('status', '--json');
    await run('archive', '--older-than', '1h', '--yes');
    await run(
      'archive',
      'purge',
      '--older-than',
      '1h',
      '--export',
      join(folder, 'archive.jsonl'),
      '--yes',
    );
    await run('archive', 'import', join(folder, 'archive.jsonl'), '--yes');
    if (isEmbedded) {
      await run('embedded', 'export', join(folder, 'export.sql'));
      await run('embedded', 'stop');
    }
    const rows = filesBelow(folder);
    expect(rows).toContain('deploy with');
    const found = Object.entries({
      'the spool': written,
      output: inspect(outputs, { maxStringLength: null }),
      // With the write-ahead log and all files of the embedded database.
      'files of the console': rows,
      'log of the server': (server?.log() ?? '').replace(/^.*(CREATE|ALTER) ROLE.*$/gm, ''),
      'statements of the server': server
        ? inspect(
            await runOnce(
              server.url('traces'),
              'CREATE EXTENSION pg_stat_statements; SELECT query FROM pg_stat_statements',
            ),
          )
        : '',
    }).flatMap(([what, content]) =>
      [planted, apiKey]
        .filter((secret) => content.includes(secret))
        .map((secret) => [what, secret]),
    );
    expect(found).toEqual([]);
    await server?.stop();
  }, 240_000);
});
