import { randomBytes } from 'node:crypto';
import { type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runCli, type CliResult } from '../../helpers/cli.js';
import { freePort } from '../../helpers/postgres-process.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';

/** Rounds of kill -9; 50 take minutes. */
const rounds = Number(process.env.TRACE_CONSOLE_KILL_ROUNDS ?? 2);
const requestsInRound = 20;
const spansInRequest = 10;

let folder: string;
let test: TestDatabase;
let port: number;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-otlp-kill-'));
  test = await createTestDatabase();
  port = await freePort();
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

type Collector = { child: ChildProcess; ended: Promise<CliResult> };

async function startCollector(): Promise<Collector> {
  let child: ChildProcess | undefined;
  const env = { HOME: folder, XDG_STATE_HOME: folder, DATABASE_URL: test.url };
  const ended = runCli(['collect', '--listen', `127.0.0.1:${port}`], {
    env,
    onStart: (started) => (child = started),
  });
  if (child === undefined) throw new Error('the collector did not start');
  await vi.waitFor(
    async () => expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(405),
    60_000,
  );
  return { child, ended };
}

async function post(signal: 'traces' | 'metrics', request: object): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    return answer.status === 200;
  } catch {
    // The collector was killed meanwhile.
    return false;
  }
}

let commits = 0;

/** Some commits, told twice by Claude Code's metrics: as many as no other point has, once it is acknowledged. */
async function sendCommits(): Promise<number[]> {
  commits += 1;
  const asInt = commits;
  const timeUnixNano = String((BigInt(Date.now()) * 1_000n + BigInt(commits)) * 1_000n);
  const attributes = [{ key: 'session.id', value: { stringValue: 'killed' } }];
  const sum = { aggregationTemporality: 1, dataPoints: [{ timeUnixNano, asInt, attributes }] };
  const metric = { name: 'claude_code.commit.count', sum };
  const request = { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] };
  const answers = [await post('metrics', request), await post('metrics', request)];
  return answers.includes(true) ? [asInt] : [];
}

/** A trace with a root and its children; the ids of its spans once it is acknowledged. */
async function send(): Promise<string[]> {
  const traceId = randomBytes(16).toString('hex');
  const ids = Array.from({ length: spansInRequest }, () => randomBytes(8).toString('hex'));
  const spans = ids.map((spanId, index) => ({
    traceId,
    spanId,
    ...(index === 0 ? {} : { parentSpanId: ids[0] }),
    name: 'work',
    startTimeUnixNano: String(BigInt(Date.now()) * 1_000_000n),
    endTimeUnixNano: String(BigInt(Date.now() + 1) * 1_000_000n),
  }));
  const request = { resourceSpans: [{ scopeSpans: [{ spans }] }] };
  return (await post('traces', request)) ? ids.slice(1) : [];
}

it(
  `keeps each span and each metric that was acknowledged, once, over ${rounds} rounds of kill -9`,
  async () => {
    const acknowledged: string[] = [];
    const acknowledgedCommits: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { child, ended } = await startCollector();
      const sending = Array.from({ length: requestsInRound }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 15));
        acknowledged.push(...(await send()));
        acknowledgedCommits.push(...(await sendCommits()));
      });
      // Among the requests of every other round, among the batches of the next.
      setTimeout(() => child.kill('SIGKILL'), round % 2 === 0 ? 100 + round * 3 : 500);
      await Promise.all(sending);
      await ended;
    }
    expect(acknowledged.length).toBeGreaterThan(spansInRequest);
    const last = await startCollector();
    const written = async () => {
      const { rows } = await test.query<{ id: string }>(
        `SELECT metadata->>'span_id' AS id FROM hook_executions WHERE hook_type = 'Span'`,
      );
      return rows.map(({ id }) => id).filter((id) => acknowledged.includes(id));
    };
    await vi.waitFor(
      async () => expect((await written()).length).toBeGreaterThanOrEqual(acknowledged.length),
      { timeout: 60_000, interval: 200 },
    );
    expect((await written()).sort()).toEqual(acknowledged.sort());
    // One that was stored, and whose answer the kill took, may be there, too.
    const writtenCommits = async () => {
      const { rows } = await test.query<{ commits: number }>(
        `SELECT p.value::int AS commits FROM trace_console.agent_metrics, jsonb_each_text(points) AS p`,
      );
      return rows.map((row) => row.commits);
    };
    const lost = async () => {
      const kept = new Set(await writtenCommits());
      return acknowledgedCommits.filter((one) => !kept.has(one));
    };
    await expect.poll(lost, { timeout: 60_000, interval: 200 }).toEqual([]);
    const kept = await writtenCommits();
    expect(new Set(kept).size).toBe(kept.length);
    expect(Math.max(...kept)).toBeLessThanOrEqual(commits);
    expect(acknowledgedCommits).not.toEqual([]);
    last.child.kill('SIGTERM');
    await last.ended;
  },
  120_000 + rounds * 15_000,
);
