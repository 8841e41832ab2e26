// Measures the embedded database: npm run bench -- embedded [--demo] (after npm run build)
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { builtPrograms } from '../src/embedded/daemon/programs.js';
import { isFilled } from '../test/e2e/helpers/filled.js';
import { writtenBy, writtenStatement } from '../test/e2e/helpers/writers.js';
import {
  demoTimes,
  findPsql,
  keysBeside,
  openInHome,
  screen,
  startTimes,
} from './lib/embedded-console.js';
import { openEcho, spreadOf } from './lib/key-times.js';
import { quantile } from './lib/quantile.js';
import { embeddedStatus, openEmbedded, stopEmbedded } from '../src/embedded/running.js';

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

/** An open console beside processes that each write one trace with its children and end. */
const storm = async (processes: number): Promise<void> => {
  const home = path.join(base, 'home');
  const folder = path.join(home, '.local/share/trace-console/embedded');
  const cold = await startTimes(home);
  report('console, first start: header', cold.header);
  report('console, first start: rows in every pane', cold.panes);
  await stopEmbedded(folder);
  const warm = await startTimes(home);
  report('console, warm start of the daemon: rows in every pane', warm.panes);
  const terminals = { console: openInHome(home), echo: openEcho(screen) };
  await terminals.console.waitFor(isFilled, 60_000);
  const { host, port, user, database } = await openEmbedded({ dataDir: folder, programs });
  const psql = findPsql();
  for (const [kind, writer] of [
    ...(psql === undefined ? [] : [['psql', { psql }] as const]),
    ['node', {}] as const,
  ]) {
    const { seconds, times } = await keysBeside(terminals, { host, port, processes, ...writer });
    const client = new pg.Client({ host, port, user, database });
    await client.connect();
    const { rows } = await client.query(writtenStatement);
    await client.query("DELETE FROM execution_traces WHERE project LIKE 'writer %'");
    await client.end();
    const kept = JSON.stringify(rows[0]) === JSON.stringify(writtenBy(processes));
    report(
      `${processes} processes of ${kind} at once, ${kept ? 'every row kept' : 'ROWS LOST'}`,
      seconds,
      's',
    );
    const ratio = quantile(times.console, 0.99) / quantile(times.echo, 0.99);
    console.log(`  key to frame beside them      ${spreadOf(times.console)}`);
    console.log(
      `  the same of an echo alone     ${spreadOf(times.echo)}; p99 ours / its ${ratio.toFixed(1)}`,
    );
  }
  terminals.console.press('q');
  await terminals.console.waitForExit();
  for (const terminal of Object.values(terminals)) await terminal.dispose();
  await stopEmbedded(folder);
};

/** The demo on a new database, and the console without it. */
const demo = async (): Promise<void> => {
  for (const run of [1, 2, 3]) {
    const home = path.join(base, `demo-${run}`);
    const folder = (name: string) => path.join(home, '.local/share/trace-console', name);
    const times = await demoTimes(home);
    const plain = await startTimes(home);
    report('demo, first start: rows in every pane', times.rows);
    report('demo, first start: a whole history', times.whole);
    report('console without it, first start: every pane answered', plain.panes);
    for (const name of ['demo', 'embedded']) await stopEmbedded(folder(name));
  }
  console.log(`load ${os.loadavg()[0]?.toFixed(1)}`);
};

try {
  if (process.argv.includes('--demo')) {
    await demo();
    process.exit(0);
  }
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
  await storm(200);
} finally {
  await stopEmbedded(dataDir);
  fs.rmSync(base, { recursive: true, force: true });
}
process.exit(0);
