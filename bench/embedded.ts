// Measures the embedded database: npx tsx bench/embedded.ts (after npm run build)
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { builtPrograms } from '../src/db/embedded/daemon/programs.js';
import { embeddedStatus, openEmbedded, stopEmbedded } from '../src/db/embedded/index.js';

const programs = builtPrograms(pathToFileURL(path.join(import.meta.dirname, '../dist/')));
if (programs?.template === undefined) throw new Error('run "npm run build" first');
const base = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-bench-'));
const dataDir = path.join(base, 'embedded');
const open = () => openEmbedded({ dataDir, programs });

async function time(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function median(times: number, work: () => Promise<number>): Promise<number> {
  const results: number[] = [];
  for (let count = 0; count < times; count += 1) results.push(await work());
  return results.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
}

const report = (what: string, value: number, unit = 'ms'): void =>
  console.log(`${what.padEnd(58)} ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);

try {
  const node = () => time(() => Promise.resolve(execFileSync(process.execPath, ['-e', '0'])));
  report('control: node -e 0', await median(5, node));
  const first = async () => {
    await stopEmbedded(dataDir);
    fs.rmSync(dataDir, { recursive: true, force: true });
    return time(open);
  };
  report('first start (new folder from the template)', await median(3, first));
  const warm = async () => {
    await stopEmbedded(dataDir);
    return time(open);
  };
  report('warm start', await median(5, warm));
  report('openEmbedded while it runs', await median(50, () => time(open)));
  const { host, port, user, database } = await open();
  const client = new pg.Client({ host, port, user, database });
  const other = new pg.Client({ host, port, user, database, application_name: 'other' });
  await Promise.all([client.connect(), other.connect()]);
  report('round trip: SELECT 1', await median(500, () => time(() => client.query('SELECT 1'))));
  const turns = async () => {
    await client.query('SELECT 1');
    return time(() => other.query('SELECT 1'));
  };
  report('the same, after a client with other settings', await median(500, turns));
  await client.query('CREATE TABLE bench (a int, b text)');
  const insert = () => time(() => client.query("INSERT INTO bench VALUES (1, repeat('x', 200))"));
  report('insert of one row, committed', await median(500, insert));
  const cancelled = async () => {
    await client.query("SET statement_timeout = '50ms'");
    const lost = await time(() => client.query('SELECT pg_sleep(10)').catch(() => undefined));
    await client.query('RESET statement_timeout');
    return lost - 50;
  };
  report('engine restart after a time-out', await median(3, cancelled));
  const status = await embeddedStatus(dataDir);
  const rss = fs.readFileSync(`/proc/${status?.pid ?? 'self'}/status`, 'utf8');
  report(
    'resident memory of the daemon',
    Number(/VmRSS:\s+(\d+)/.exec(rss)?.[1] ?? 0) / 1024,
    'MB',
  );
  await Promise.all([client.end(), other.end()]);
  report('stop, with its checkpoint', await time(() => stopEmbedded(dataDir)));
} finally {
  await stopEmbedded(dataDir);
  fs.rmSync(base, { recursive: true, force: true });
}
