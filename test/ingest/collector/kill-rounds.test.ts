import { type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { readStatus } from '../../../src/ingest/collector/status-file.js';
import { runCli, type CliResult } from '../../helpers/cli.js';
import { runHook } from '../../helpers/hook.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';

/** Rounds of kill -9; the whole of 100 takes minutes. */
const rounds = Number(process.env.TRACE_CONSOLE_KILL_ROUNDS ?? 4);
const hooksInRound = 6;

let folder: string;
let server: PrivateServer;
let url: string;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-kill-'));
  // What was committed must be there after a kill of the server.
  server = await startPrivateServer({ settings: { fsync: 'on', synchronous_commit: 'on' } });
  url = await server.createDatabase('agents');
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const env = () => ({
  HOME: folder,
  XDG_STATE_HOME: folder,
  TRACE_CONSOLE_SPOOL: path.join(folder, 'spool'),
  DATABASE_URL: url,
});

type Collector = { child: ChildProcess; ended: Promise<CliResult> };

function startCollector(): Collector {
  let child: ChildProcess | undefined;
  const ended = runCli(['collect'], { env: env(), onStart: (started) => (child = started) });
  if (child === undefined) throw new Error('the collector did not start');
  return { child, ended };
}

/** Waits until a collector has written what it found. */
function hasWritten({ child }: Collector): Promise<void> {
  const { TRACE_CONSOLE_SPOOL: spool } = env();
  return vi.waitFor(() => expect(readStatus(spool)?.pid).toBe(child.pid), 60_000);
}

/** Tells of a tool call that began; true once the hook has ended by itself. */
async function tell(round: number, number: number, victim: boolean): Promise<string | undefined> {
  const id = `toolu_${round}_${number}`;
  const payload = {
    session_id: 'session',
    prompt_id: 'turn',
    cwd: '/app',
    hook_event_name: 'PreToolUse',
    tool_name: 'Bash',
    tool_use_id: id,
    tool_input: { command: 'x'.repeat(20_000) },
  };
  const { exitCode } = await runHook(payload, {
    env: env(),
    onStart: (pid) => {
      if (victim) setTimeout(() => killed(pid), 10 + ((round * 7 + number * 13) % 40));
    },
  });
  return exitCode === 0 ? id : undefined;
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

it(
  `keeps each event that its hook has acknowledged in exactly one row, over ${rounds} rounds of kill -9`,
  async () => {
    const acknowledged: string[] = [];
    let collector = startCollector();
    for (let round = 0; round < rounds; round += 1) {
      const hooks = Array.from({ length: hooksInRound }, (_, number) =>
        tell(round, number, number % 3 === 2),
      );
      // One collector is killed at any moment of its start, the next one among its batches.
      if (round % 2 === 1) await hasWritten(collector);
      await sleep((round * 37) % 150);
      collector.child.kill('SIGKILL');
      if (round % 4 === 3) {
        await server.kill9();
        await server.start();
      }
      await collector.ended;
      collector = startCollector();
      for (const id of await Promise.all(hooks)) if (id !== undefined) acknowledged.push(id);
    }
    collector.child.kill('SIGTERM');
    await collector.ended;
    const last = await runCli(['collect', '--once', '--json'], { env: env() });
    expect(last).toMatchObject({ exitCode: 0 });
    const { records, quarantined } = JSON.parse(last.stdout) as Record<string, number>;
    expect(quarantined).toBe(0);
    // Most were written by collectors that were killed.
    expect(records).toBeLessThan(acknowledged.length);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query<{ id: string; count: number }>(
        'SELECT tool_use_id AS id, count(*)::int AS count FROM hook_executions GROUP BY 1',
      );
      const counts = new Map(rows.map(({ id, count }) => [id, count]));
      expect(acknowledged.length).toBeGreaterThanOrEqual(rounds * (hooksInRound - 2));
      expect(acknowledged.filter((id) => counts.get(id) !== 1)).toEqual([]);
      expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
    } finally {
      await client.end();
    }
  },
  60_000 + rounds * 15_000,
);
