import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import type { AgentEvent } from '../../src/ingest/events.js';
import { Prices } from '../../src/ingest/prices.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { reprice, type Repriced } from '../../src/ingest/reprice.js';
import { runCli } from '../helpers/cli.js';
import { IngestDatabase } from './ingest-database.js';

/** The price of o3 was cut to a fifth on 2025-06-10: a million tokens of input cost $10, then $2. */
const [before, after] = [Date.parse('2025-06-09'), Date.parse('2025-06-11')];
const million = {
  input: 1_000_000,
  output: 0,
  cacheRead: 0,
  cacheCreation: 0,
  cacheCreation1h: 0,
};

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());
beforeEach(() => db.clear());

const ownPrices = (prices: Record<string, { input: number; output: number }>) =>
  new Prices(new Map(Object.entries(prices)));

/** A turn with a model call each, every one in a session of its own. */
async function record(
  calls: { at: number; model: string; costUsd?: number }[],
  prices: Prices | undefined,
): Promise<void> {
  const events = calls.flatMap(({ at, ...call }, index): AgentEvent[] => {
    const base = {
      source: 'transcript',
      agent: 'codex',
      session: `session-${index}`,
      turn: 't',
    } as const;
    const told = { provider: 'openai', endpoint: '/responses', usage: million };
    return [
      { ...base, kind: 'prompt', at, text: 'Go' },
      { ...base, ...told, kind: 'model_call', at: at + 1_000, message: 'm', ...call },
      { ...base, kind: 'turn_ended', at: at + 2_000 },
    ];
  });
  await new Recorder(db.database, { prices }).record(events);
}

async function run(prices: Prices, since = 0, dryRun = false): Promise<Repriced> {
  const steps = reprice(db.database, { prices, since, dryRun });
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
  }
}

const costs = async () => {
  const { rows } = await db.test.query<{ call: number | null; trace: number | null }>(
    `SELECT (c.context->'cost'->>'usd')::float8 AS call, t.cost_usd::float8 AS trace
     FROM endpoint_calls AS c JOIN execution_traces AS t ON t.id = c.trace_id ORDER BY c.started_at, t.session_id`,
  );
  return rows;
};

it('gives each call the price of its own time, and its trace the sum', async () => {
  await record(
    [
      { at: before, model: 'o3' },
      { at: after, model: 'o3' },
      { at: after + 60_000, model: 'o3', costUsd: 7 },
      { at: after + 120_000, model: 'nobodys-model' },
    ],
    undefined,
  );
  const result = await run(new Prices());
  expect(await costs()).toEqual([
    { call: 10, trace: 10 },
    { call: 2, trace: 2 },
    { call: 7, trace: 7 },
    { call: null, trace: null },
  ]);
  expect(result).toMatchObject({
    traces: 4,
    calls: 4,
    changed: 2,
    oldUsd: 7,
    newUsd: 19,
    unpriced: 1,
    written: { execution_traces: 2, endpoint_calls: 2 },
  });
  expect(result.models).toEqual([
    { model: 'o3', calls: 3, changed: 2, oldUsd: 7, newUsd: 19, unpriced: 0 },
    { model: 'nobodys-model', calls: 1, changed: 0, oldUsd: null, newUsd: null, unpriced: 1 },
  ]);
  const dump = await db.dump();
  expect(await run(new Prices())).toMatchObject({ changed: 0, oldUsd: 19, newUsd: 19 });
  expect(await db.dump()).toEqual(dump);
});

it('leaves the rows as if they had been recorded with these prices', async () => {
  const calls = [
    { at: before, model: 'o3' },
    { at: after, model: 'gateway-model' },
  ];
  const prices = ownPrices({ 'gateway-model': { input: 3, output: 15 } });
  await record(calls, prices);
  const recorded = await db.dump();
  await db.clear();
  await record(calls, undefined);
  await run(prices);
  expect(await db.dump()).toEqual(recorded);
});

it('keeps the cost that is known where no price is', async () => {
  await record(
    [{ at: after, model: 'gateway-model' }],
    ownPrices({ 'gateway-model': { input: 3, output: 15 } }),
  );
  expect(await run(new Prices())).toMatchObject({ changed: 0, oldUsd: 3, newUsd: 3, unpriced: 0 });
  expect(await costs()).toEqual([{ call: 3, trace: 3 }]);
});

it('takes more traces than one transaction does, those since a moment and no others', async () => {
  // Two of a moment: the place in a page is of both.
  const calls = Array.from({ length: 450 }, (_, index) => ({
    at: after + 1_000 * Math.floor(index / 2),
    model: 'o3',
  }));
  await record([{ at: before, model: 'o3' }, ...calls], undefined);
  expect(await run(new Prices(), after)).toMatchObject({ traces: 450, changed: 450, newUsd: 900 });
  expect(await db.count('execution_traces', 'cost_usd IS NULL')).toBe(1);
});

it('touches only what programs of agents did, and makes sense of no foreign tokens', async () => {
  await record([{ at: after, model: 'o3' }], undefined);
  await db.test.query(
    `INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, status)
     SELECT id, id, id, id, 'api', 'completed' FROM (SELECT gen_random_uuid() AS id) AS one`,
  );
  await db.test.query(
    `UPDATE endpoint_calls SET context = context || '{"usage": {"input": "many"}}'`,
  );
  expect(await run(new Prices())).toMatchObject({ traces: 1, calls: 1, changed: 0, unpriced: 1 });
});

it('tells what it would change as JSON, in a transaction that can write nothing', async () => {
  await record([{ at: after, model: 'o3' }], new Prices());
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-reprice-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'prices.json');
  fs.writeFileSync(file, '{"o3": {"input": 5, "output": 1}}');
  const args = ['reprice', '--since', '3000d', '--prices', file, '--url', db.test.url];
  const dry = await runCli([...args, '--dry-run', '--json', '--read-only']);
  expect({ ...dry, stdout: JSON.parse(dry.stdout) as unknown }).toMatchObject({
    exitCode: 0,
    stdout: {
      traces: 1,
      calls: 1,
      changed: 1,
      oldUsd: 2,
      newUsd: 5,
      models: [{ model: 'o3', oldUsd: 2, newUsd: 5 }],
      dryRun: true,
    },
  });
  expect(await costs()).toEqual([{ call: 2, trace: 2 }]);
  const { stdout, exitCode } = await runCli(args);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/o3 +1 +1 +\$2\.00 +\$5\.00 +0/);
  expect(await costs()).toEqual([{ call: 5, trace: 5 }]);
  expect(await runCli([...args, '--read-only'])).toMatchObject({ exitCode: 4 });
  expect(await runCli(['reprice', '--url', db.test.url])).toMatchObject({ exitCode: 2 });
});
