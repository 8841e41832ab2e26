import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { LiveEngine } from '../../src/live/engine.js';
import { panes } from '../../src/panes/registry.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { Proxy } from '../helpers/proxy.js';
import { testServer } from '../helpers/server.js';

let test: TestDatabase;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trace-console-clock-'));
  test = await createTestDatabase();
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, completed_at, prompt_text)
     SELECT id, id, id, 'user_prompt', CASE n % 4 WHEN 0 THEN 'failed' WHEN 1 THEN 'in_progress' ELSE 'completed' END,
       now() - n * interval '47 minutes', CASE WHEN n % 4 <> 1 THEN now() - n * interval '47 minutes' + interval '2 s' END,
       repeat('words ', 200)
     FROM generate_series(1, 60) AS n, LATERAL (SELECT md5(n::text)::uuid AS id) AS named;
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, duration_ms)
     SELECT id, 'PreToolUse', 'guard', 'completed', started_at, 5 FROM execution_traces`,
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a network', () => {
  async function throughProxy(
    work: (proxy: Proxy, engine: LiveEngine) => Promise<void>,
  ): Promise<void> {
    const { hostname, port } = new URL(testServer().adminUrl);
    const proxy = await Proxy.start({ host: hostname, port: Number(port) });
    const database = await openDatabase({ url: `${proxy.through(test.url)}?sslmode=disable` });
    const engine = new LiveEngine(database, { cadenceMs: 500, share: 1 });
    try {
      await work(proxy, engine);
    } finally {
      await engine.stop();
      await proxy.stop();
      await database.close();
    }
  }

  const oldest = (engine: LiveEngine) =>
    Math.min(...panes.map(({ id }) => engine.getState().panes[id].asOf?.getTime() ?? 0));

  it('of 40 kB a second fills every pane, and is no lost connection', async () => {
    await throughProxy(async (proxy, engine) => {
      proxy.bytesPerSecond = 40_000;
      const states = new Set<string>();
      engine.subscribe(() => states.add(engine.getState().connection.state));
      engine.start();
      await expect.poll(() => oldest(engine), { timeout: 50_000 }).toBeGreaterThan(0);
      expect([...states]).toEqual(['connected']);
      expect(panes.map(({ id }) => engine.getState().panes[id].error)).toEqual(
        panes.map(() => null),
      );
    });
  });

  it('that is half open is left for a new connection, with newer rows', async () => {
    await throughProxy(async (proxy, engine) => {
      engine.start();
      await expect.poll(() => oldest(engine), { timeout: 50_000 }).toBeGreaterThan(0);
      const cutAt = Date.now();
      proxy.halfClose();
      engine.refreshNow();
      await expect.poll(() => oldest(engine), { timeout: 50_000 }).toBeGreaterThan(cutAt);
      expect(engine.getState().connection.state).toBe('connected');
    });
  });
});

describe('a clock of the console that is hours from that of the server', () => {
  /** Node's own clock, so many hours off. */
  function clockOff(hours: number): Record<string, string> {
    const file = join(folder, `clock${hours}.cjs`);
    writeFileSync(
      file,
      `const off = ${hours} * 3600e3, Real = Date, now = Real.now.bind(Real);
       globalThis.Date = class Date extends Real {
         constructor(...values) { if (values.length === 0) super(now() + off); else super(...values); }
         static now() { return now() + off; }
       };`,
    );
    return { NODE_OPTIONS: `--require=${file}` };
  }

  type Counts = Record<string, unknown>;

  /** What commands count that look back from now, or from an age. */
  async function counted(env: Record<string, string>): Promise<Counts> {
    const run = async (line: string) => {
      const { stdout, exitCode, stderr } = await runCli([...line.split(' '), '--url', test.url], {
        env,
      });
      expect({ line, exitCode, stderr }).toMatchObject({ exitCode: 0 });
      return stdout;
    };
    const status = JSON.parse(await run('status --json --window 6h')) as {
      panes: Record<string, { rows: Record<string, unknown>[] }>;
    };
    const list = JSON.parse(await run('traces --json --since 6h')) as { traces: unknown[] };
    const dry = async (line: string) =>
      /\b(?:due|Traces)\b[^\n]*?(\d+)/.exec(await run(`${line} --dry-run`))?.[1];
    return {
      recent: status.panes['recent-traces']?.rows.map((row) => [row.status, row.count]),
      hooks: status.panes['slow-hooks']?.rows.map((row) => row.calls),
      listed: list.traces.length,
      due: await dry('archive --older-than 1d'),
      stuck: await dry('close-stuck'),
    };
  }

  it.each([7, -7])('%i hours off counts what the server counts', async (hours) => {
    const right = await counted({});
    expect(right).toMatchObject({ hooks: [7], listed: 7 });
    expect(await counted(clockOff(hours))).toEqual(right);
  });

  it('makes no crashed run of one that goes on, and none that goes on of a crashed one', async () => {
    const states = async (env: Record<string, string>) =>
      (
        JSON.parse((await runCli(['runs', '--json', '--url', test.url], { env })).stdout) as {
          state: string;
        }[]
      ).map(({ state }) => state);
    await runCli(['analyze', 'execution_traces', '--yes', '--url', test.url], { env: clockOff(7) });
    await test.query(
      `INSERT INTO trace_console.maintenance_runs (target_schema, action, title, input, state, lease_until, application, console_version)
       VALUES ('public', 'analyze', 'Analyze', '{}', 'running', clock_timestamp() + interval '5 minutes', 'test', '1'),
         ('public', 'analyze', 'Analyze', '{}', 'running', clock_timestamp() - interval '5 minutes', 'test', '1')`,
    );
    const right = await states({});
    expect(right).toEqual(['crashed', 'running', 'done']);
    for (const hours of [7, -7]) expect(await states(clockOff(hours))).toEqual(right);
  });
});
