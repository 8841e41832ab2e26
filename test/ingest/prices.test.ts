import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { costOf, Prices, priceTable } from '../../src/ingest/prices.js';

const usage = {
  input: 1_000,
  output: 500,
  cacheRead: 100_000,
  cacheCreation: 20_000,
  cacheCreation1h: 0,
};
const at = Date.parse('2026-06-01');
const call = { model: 'claude-opus-4-6', provider: 'anthropic', at, usage };

function pricesOf(content: string): Prices {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-prices-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'prices.json');
  fs.writeFileSync(file, content);
  return Prices.fromFile(file);
}

it('tells caches that are written for one hour from those for five minutes', async () => {
  // 1,000 × 5 + 500 × 25 + 100,000 × 0.5 + 20,000 × 6.25 (for one hour: × 10), dollars a million.
  expect(await new Prices().costOf(call)).toEqual({
    usd: 0.1925,
    source: 'computed',
    table: priceTable,
  });
  const forAnHour = { ...usage, cacheCreation1h: 20_000 };
  expect(await new Prices().costOf({ ...call, usage: forAnHour })).toMatchObject({ usd: 0.2675 });
});

it('takes the price of the model at the time of the call', async () => {
  // Its price was cut to a fifth on 2025-06-10.
  const million = { ...usage, input: 1_000_000, output: 0, cacheRead: 0, cacheCreation: 0 };
  const o3 = { model: 'o3', provider: 'openai', usage: million };
  const prices = new Prices();
  const costAt = (time: string) => prices.costOf({ ...o3, at: Date.parse(time) });
  expect(await costAt('2025-06-09')).toMatchObject({ usd: 10 });
  expect(await costAt('2025-06-11')).toMatchObject({ usd: 2 });
  expect(await costAt('2025-06-09')).toMatchObject({ usd: 10 });
});

it('knows no price of an unknown model, of no model, and of no tokens', async () => {
  const prices = new Prices();
  expect(await prices.costOf({ ...call, model: 'nobodys-model' })).toBeUndefined();
  expect(await prices.costOf({ ...call, model: undefined })).toBeUndefined();
  expect(await prices.costOf({ ...call, usage: undefined })).toBeUndefined();
});

it('takes prices of one’s own before the table’s, and a reported cost before both', async () => {
  const own = pricesOf('{"claude-opus-4-6": {"input": 1, "output": 2, "cacheWrite1h": 4}}');
  const row = {
    service_name: 'anthropic',
    started_at: at,
    context: { model: 'claude-opus-4-6', usage: { ...usage, cacheCreation1h: 20_000 } },
  };
  // What has no price of its own costs what input does.
  expect(await costOf(row, own)).toMatchObject({ usd: 0.182, source: 'own' });
  const reported = { ...row, context: { ...row.context, reported_cost_usd: 0.5 } };
  expect(await costOf(reported, own)).toEqual({ usd: 0.5, source: 'reported' });
  expect(await costOf(reported, undefined)).toEqual({ usd: 0.5, source: 'reported' });
});

it.each([
  'not JSON',
  '[]',
  '{"m": null}',
  '{"m": {"input": 1}}',
  '{"m": {"input": -1, "output": 1}}',
])('refuses a file of prices that is %s', (content) => {
  expect(() => pricesOf(content)).toThrow(/price/);
});
