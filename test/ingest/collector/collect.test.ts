import { execFileSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseConfig } from '../../../src/cli/config/parse-config.js';
import { settingsFor } from '../../../src/cli/config/settings.js';
import { openReceiver } from '../../../src/cli/collect-telemetry.js';
import { FolderLock } from '../../../src/core/folder-lock.js';
import { appendFrame, collectorLock } from '../../../src/ingest/spool/append.js';
import { readStatus } from '../../../src/ingest/collector/status-file.js';
import { frameOf } from '../../../src/ingest/hook/record.js';
import { runCli, type CliResult } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { runHook } from '../../helpers/hook.js';
import { hookSession, type HookCall } from '../sources/payloads.js';

let folder: string;
let spool: string;
let test: TestDatabase;
beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-collect-'));
  spool = path.join(folder, 'spool');
  test = await createTestDatabase();
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const envOf = (url: string) => ({
  HOME: folder,
  XDG_STATE_HOME: folder,
  TRACE_CONSOLE_SPOOL: spool,
  DATABASE_URL: url,
});

const collect = (...args: string[]): Promise<CliResult> =>
  runCli(['collect', ...args], { env: envOf(test.url) });

/** What a hook would have written. */
function tell(cli: string, { event, payload }: HookCall, atMs: number): void {
  const input = JSON.stringify(payload);
  appendFrame(spool, frameOf({ cli, event, input, atMs }, {}));
}

const startMs = Date.now() - 600_000;

describe('collecting what hooks have told', () => {
  it('waits where the tables have gone, ends by a signal, and has written what came before', async () => {
    let child: ChildProcess | undefined;
    const running = runCli(['collect', '--json'], {
      env: envOf(test.url),
      onStart: (started) => (child = started),
    });
    for (const call of hookSession('claude', 's', startMs).slice(0, 6))
      tell('claude', call, startMs);
    tell('toString', { event: 'Any', payload: {} }, startMs);
    await vi.waitFor(async () => {
      const { rows: found } = await test.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM execution_traces',
      );
      expect(found[0]?.count).toBe(1);
    }, 30_000);
    const status = await runCli(['collect', 'status', '--json'], { env: envOf(test.url) });
    expect(JSON.parse(status.stdout)).toMatchObject({
      running: true,
      pid: child?.pid,
      waiting: { dropped: 0 },
    });
    const second = await collect();
    expect(second).toMatchObject({ exitCode: 4 });
    await test.query('ALTER TABLE execution_traces RENAME TO gone');
    const prompt = { session_id: 'late', hook_event_name: 'UserPromptSubmit', prompt: 'Hello' };
    tell('claude', { payload: prompt }, startMs);
    await vi.waitFor(() => {
      const reason = 'execution_traces does not exist in the schema that is used. Create it: ';
      expect(readStatus(spool)?.reason).toContain(`${reason}trace-console schema apply`);
    }, 30_000);
    await test.query('ALTER TABLE gone RENAME TO execution_traces');
    await vi.waitFor(async () => {
      const { rows: found } = await test.query('SELECT prompt_text FROM execution_traces');
      expect(found).toContainEqual({ prompt_text: 'Hello' });
    }, 30_000);
    child?.kill('SIGTERM');
    const { exitCode, stdout } = await running;
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, records: 8, state: 'ended' });
    const after = await runCli(['collect', 'status', '--json'], { env: envOf(test.url) });
    expect(JSON.parse(after.stdout)).toMatchObject({
      running: false,
      lastEvents: {
        claude: expect.any(String) as string,
        other: expect.any(String) as unknown,
      },
    });
  });

  it('closes a turn that nobody has told of for a quarter of an hour', async () => {
    const base = { conversation_id: 'c', generation_id: 'g', workspace_roots: ['/home/u/app'] };
    const call = { payload: { ...base, hook_event_name: 'beforeSubmitPrompt', prompt: 'Hello' } };
    tell('cursor', call, Date.now() - 16 * 60_000);
    await collect('--once');
    const { rows: traces } = await test.query('SELECT status, error_type FROM execution_traces');
    expect(traces).toEqual([{ status: 'cancelled', error_type: 'no_end' }]);
  });

  it('counts events that nobody knows, and garbage, and waits for no pipe', async () => {
    tell('claude', { payload: { session_id: 's', hook_event_name: 'FromTheFuture' } }, startMs);
    for (const cli of ['nobody', 'noone']) tell(cli, { payload: { a: 1 } }, startMs);
    await runHook('garbage', { env: { TRACE_CONSOLE_SPOOL: spool } });
    // What is named as its transcript is a pipe: whoever opens that waits for a writer.
    const pipe = path.join(folder, 'rollout-pipe.jsonl');
    execFileSync('mkfifo', [pipe]);
    const odd = { session_id: 's', hook_event_name: 'FromTheFuture', transcript_path: pipe };
    tell('codex', { payload: odd }, startMs);
    const { stdout } = await collect('--once', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      records: 5,
      quarantined: 0,
      lastEvents: { claude: expect.any(String) as string, other: expect.any(String) as string },
    });
    const { rows: sources } = await test.query(
      'SELECT cli, unknown_events::int AS unknown FROM trace_console.spool_sources ORDER BY cli',
    );
    expect(sources).toEqual([
      { cli: 'claude', unknown: 2 },
      { cli: 'codex', unknown: 1 },
      { cli: 'other', unknown: 2 },
    ]);
    tell('somebody', { payload: { a: 1 } }, startMs);
    const status = await runCli(['collect', 'status', '--json'], { env: envOf(test.url) });
    const { lastEvents } = JSON.parse(status.stdout) as { lastEvents: object };
    expect(Object.keys(lastEvents).sort()).toEqual(['claude', 'codex', 'other']);
  });

  it('takes telemetry where the config file says so, and collects on where that address is taken', async () => {
    const collector = async (name: string, listen: string) => {
      const config = path.join(folder, `${name}.toml`);
      fs.writeFileSync(config, `[collect]\nlisten = "${listen}"`);
      const env = { ...envOf(test.url), TRACE_CONSOLE_SPOOL: path.join(folder, name) };
      let child: ChildProcess | undefined;
      const running = runCli(['collect', '--background', '--config', config], {
        env,
        onStart: (started) => (child = started),
      });
      const status = () => readStatus(env.TRACE_CONSOLE_SPOOL);
      await vi.waitFor(() => expect(status()?.state).toBe('following'), 30_000);
      const end = async () => {
        child?.kill('SIGTERM');
        await running;
      };
      return { env, listen: status()?.listen ?? {}, end };
    };
    const first = await collector('one', '127.0.0.1:0');
    const { url = '' } = first.listen as { url?: string };
    const posted = await fetch(`${url}/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(posted.status).toBe(200);
    // What it does not take, it counts.
    for (const wrong of [1, 2]) expect((await fetch(`${url}/${wrong}`)).status).toBe(404);
    const refused = { '404': { count: 2, last: expect.any(String) as string } };
    const status = (...args: string[]) =>
      runCli(['collect', 'status', ...args], { env: first.env });
    await vi.waitFor(() => {
      expect(readStatus(first.env.TRACE_CONSOLE_SPOOL)?.refused).toMatchObject(refused);
    }, 30_000);
    expect(JSON.parse((await status('--json')).stdout)).toMatchObject({ refused });
    expect((await status()).stdout).toMatch(/Refused +2 × 404 \(last \d\d:\d\d:\d\d\)/);
    const second = await collector('two', new URL(url).host);
    expect(second.listen).toEqual({ problem: expect.stringContaining('Cannot listen') as string });
    const { stdout, exitCode } = await runCli(['collect', 'status'], { env: second.env });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/Telemetry +Cannot listen on 127\.0\.0\.1/);
    await Promise.all([first.end(), second.end()]);
  });

  it('says why it could not begin where nobody watched, and is left alone by hooks for a while', async () => {
    const foreign = await createTestDatabase({ schema: false });
    await foreign.query('CREATE TABLE theirs (id int)');
    const env = envOf(foreign.url);
    tell('claude', { payload: { session_id: 's', hook_event_name: 'Stop' } }, startMs);
    expect(await runCli(['collect', '--background'], { env })).toMatchObject({ exitCode: 4 });
    const { stdout, exitCode } = await runCli(['collect', 'status', '--json'], { env });
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      running: false,
      reason: expect.stringContaining('The schema is not there') as string,
      waiting: { events: 1 },
    });
    const until = fs.statSync(path.join(spool, 'starting')).mtimeMs;
    expect(until).toBeGreaterThan(Date.now());
    await runHook({}, { env: { ...env, TRACE_CONSOLE_COLLECTOR: '' } });
    expect(fs.statSync(path.join(spool, 'starting')).mtimeMs).toBe(until);
  });

  it('says of one that has told nothing yet that it starts, whatever the one before has told', async () => {
    await collect('--once');
    const lock = FolderLock.acquire(spool, '', collectorLock);
    const { stdout } = await collect('status', '--json');
    lock?.release();
    const { pid } = process;
    expect(JSON.parse(stdout)).toMatchObject({
      running: true,
      pid,
      state: 'starting',
      target: null,
    });
  });

  it('prints a service that does not show a password', async () => {
    const refused = await runCli(['collect', '--service', '--url', 'postgresql://u:p@h/d'], {});
    expect(refused.exitCode).toBe(2);
    const service = ['collect', '--service', '--data-dir', '/tmp/a "b" & c', '--manager'];
    const [systemd, launchd, other] = await Promise.all(
      ['systemd', 'launchd', 'other'].map((manager) => runCli([...service, manager], {})),
    );
    expect(systemd?.stdout).toMatch(
      /ExecStart=".*" ".*main.js" "collect" "--data-dir" "\/tmp\/a \\"b\\" & c"/,
    );
    expect(launchd?.stdout).toMatch(
      /<string>collect<\/string>\n +<string>--data-dir<\/string>\n +<string>\/tmp\/a "b" &amp; c<\/string>/,
    );
    expect(other?.exitCode).toBe(2);
  });
});

it('refuses a token for its telemetry that no header carries', async () => {
  const flags = { once: false, listen: '127.0.0.1:0' };
  const context = {
    flags,
    settings: settingsFor(parseConfig('', 'none'), {}),
    note: () => undefined,
  };
  for (const token of ['schlüssel', 'two\nlines', ' around ']) {
    vi.stubEnv('TRACE_CONSOLE_LISTEN_TOKEN', token);
    const opening = openReceiver(context, os.tmpdir(), () => undefined);
    await expect(opening).rejects.toMatchObject({ code: 'usage' });
  }
  vi.unstubAllEnvs();
});
