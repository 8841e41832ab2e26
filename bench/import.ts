/**
 * Measures `trace-console import` as a whole process, onto a PostgreSQL server:
 *
 *     npm run bench -- import [--megabytes 30] [--sessions 3] [--profile FOLDER]
 *
 * A folder of Claude Code sessions is generated (turns of a prompt, 12 model calls and 11 tool calls; texts of tools are
 * this repository's source), and imported three times: rows a second, and the peak of the process's memory (VmHWM of /proc). Then the
 * same rows are read back and COPYed three times by one connection into copies of the tables with the same indexes. The ratio of both
 * rates is what counts: absolute times are this machine's. Last, sessions of 3 MB are imported, each by a process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import copyStreams from 'pg-copy-streams';
import type pg from 'pg';
import { bundle } from '../scripts/bundle.mjs';
import { applySchema } from '../src/deploy/apply.js';
import { openDatabase } from '../src/embedded/index.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';
import { writeSessions } from './lib/transcript-data.js';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '30' },
    sessions: { type: 'string', default: '3' },
    profile: { type: 'string' },
  },
});
const megabytes = Number(values.megabytes);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-bench-import-'));
// Below the packages that the programs are loaded from.
const programs = path.join(
  import.meta.dirname,
  `../node_modules/.cache/trace-console/bench-${process.pid}`,
);
const tables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
] as const;

/** Of the import and of COPY; their medians are compared. */
const rounds = 3;

type Run = {
  seconds: number;
  /** Processor time of the process. */
  cpuSeconds: number;
  peakMb: number;
  result: { written: Record<string, number> };
};

/** Processor time (user and system) of a process, or of its children that have ended; seconds. */
function cpuSecondsOf(pid: number, whose: 'own' | 'ended children'): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const first = whose === 'own' ? 11 : 13;
  return (Number(fields[first]) + Number(fields[first + 1])) / 100;
}

/** Runs something that connects to the server anew, and tells the processor time of the server's processes for it. */
async function withServerCpu<Result>(
  postmaster: number,
  work: () => Promise<Result>,
): Promise<[result: Result, cpuSeconds: number]> {
  const before = cpuSecondsOf(postmaster, 'ended children');
  const result = await work();
  // A process of the server ends a moment after its connection.
  await sleep(500);
  return [result, cpuSecondsOf(postmaster, 'ended children') - before];
}

/** The process that starts those of the server. */
function postmasterOf(url: string): Promise<number> {
  return connected(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const stat = fs.readFileSync(`/proc/${rows[0]?.pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  });
}

/** Imports a folder by a process of its own. */
async function importFolder(sessions: string, url: string): Promise<Run> {
  const started = performance.now();
  const profile =
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
  const child = spawn(
    process.execPath,
    [
      ...profile,
      path.join(programs, 'bin/trace-console.js'),
      ...['import', 'claude', sessions, '--yes', '--json', '--url', url],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env.PATH, HOME: folder } },
  );
  let [peakKb, cpuSeconds] = [0, 0];
  const watch = setInterval(() => {
    try {
      const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      cpuSeconds = cpuSecondsOf(child.pid ?? 0, 'own');
    } catch {
      // It has ended.
    }
  }, 20);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [code] = (await once(child, 'close')) as [number];
  clearInterval(watch);
  if (code !== 0) throw new Error(`import ended with ${code}`);
  return {
    seconds: (performance.now() - started) / 1_000,
    cpuSeconds,
    peakMb: peakKb / 1_024,
    result: JSON.parse(stdout) as Run['result'],
  };
}

/** Copies of the tables, and files with their rows. */
async function prepareCopies(client: pg.Client): Promise<void> {
  for (const table of tables) {
    const file = fs.createWriteStream(path.join(folder, table));
    await pipeline(client.query(copyStreams.to(`COPY ${table} TO STDOUT`)), file);
    await client.query(`CREATE TABLE ${table}_copy (LIKE ${table} INCLUDING ALL)`);
  }
}

async function emptyCopies(client: pg.Client): Promise<void> {
  for (const table of tables) await client.query(`TRUNCATE ${table}_copy`);
  await client.query('CHECKPOINT');
}

/** Seconds and processor time (ours) that COPY takes for the rows of all tables. */
async function copyAll(client: pg.Client): Promise<{ seconds: number; cpuSeconds: number }> {
  const started = performance.now();
  const before = process.cpuUsage();
  for (const table of tables) {
    const file = fs.createReadStream(path.join(folder, table));
    await pipeline(file, client.query(copyStreams.from(`COPY ${table}_copy FROM STDIN`)));
  }
  const { user, system } = process.cpuUsage(before);
  return {
    seconds: (performance.now() - started) / 1_000,
    cpuSeconds: (user + system) / 1e6,
  };
}

async function migrate(url: string): Promise<void> {
  const database = await openDatabase({ url });
  await applySchema(database);
  await database.close();
}

try {
  await bundle(path.join(programs, 'dist'));
  fs.writeFileSync(path.join(programs, 'package.json'), '{"type": "module"}');
  // Whole: the launcher has a package.json of its own, for it is CommonJS.
  const launcher = path.join(import.meta.dirname, '../bin');
  fs.cpSync(launcher, path.join(programs, 'bin'), { recursive: true });
  await withBenchServer(async (server) => {
    console.log(`${server.description}, Node.js ${process.versions.node}`);
    if (megabytes > 0) {
      const sessions = path.join(folder, 'many');
      const mb = writeSessions(sessions, megabytes * 2 ** 20) / 2 ** 20;
      let url = '';
      const imports: (Run & { server: number; rows: number })[] = [];
      for (let round = 0; round < rounds; round += 1) {
        url = await server.create('trace_console_bench_import');
        await migrate(url);
        const [run, cpu] = await withServerCpu(await postmasterOf(url), () =>
          importFolder(sessions, url),
        );
        const rows = Object.values(run.result.written).reduce((sum, count) => sum + count, 0);
        imports.push({ ...run, server: cpu, rows });
        console.log(
          `${mb.toFixed(0)} MB: ${rows} rows in ${run.seconds.toFixed(1)} s, ${(rows / run.seconds).toFixed(0)} rows/s, ` +
            `${(mb / run.seconds).toFixed(1)} MB/s, peak ${run.peakMb.toFixed(0)} MB; ` +
            `processor ${run.cpuSeconds.toFixed(1)} s, of the server ${cpu.toFixed(1)} s`,
        );
      }
      const imported = quantile(
        imports.map(({ seconds }) => seconds),
        0.5,
      );
      const rows = imports[0]?.rows ?? NaN;
      const postmaster = await postmasterOf(url);
      await connected(url, prepareCopies);
      const copies: { seconds: number; cpuSeconds: number; server: number }[] = [];
      for (let round = 0; round < rounds; round += 1) {
        await connected(url, emptyCopies);
        const [copy, server] = await withServerCpu(postmaster, () => connected(url, copyAll));
        copies.push({ ...copy, server });
      }
      const median = (of: (copy: (typeof copies)[number]) => number) =>
        quantile(copies.map(of), 0.5);
      const [copied, copyCpu] = [
        median(({ seconds }) => seconds),
        median(({ cpuSeconds, server }) => cpuSeconds + server),
      ];
      console.log(
        `COPY of the same rows: ${copied.toFixed(1)} s, ${(rows / copied).toFixed(0)} rows/s, processor of both sides ` +
          `${copyCpu.toFixed(1)} s; import has ${(copied / imported).toFixed(2)} × its rate (medians of ${rounds})`,
      );
      await server.drop('trace_console_bench_import');
      fs.rmSync(sessions, { recursive: true });
    }
    const url = await server.create('trace_console_bench_session');
    await migrate(url);
    const times: number[] = [];
    for (let index = 0; index < Number(values.sessions); index += 1) {
      const one = path.join(folder, `one-${index}`);
      writeSessions(one, 3 * 2 ** 20, { sessionBytes: 3 * 2 ** 20, seed: 1_000 + index });
      times.push((await importFolder(one, url)).seconds);
    }
    if (times.length > 0) {
      console.log(
        `a session of 3 MB: ${times.map((each) => each.toFixed(2)).join(', ')} s, median ${quantile(times, 0.5).toFixed(2)} s`,
      );
    }
    await server.drop('trace_console_bench_session');
  });
} finally {
  for (const each of [folder, programs]) fs.rmSync(each, { recursive: true, force: true });
}
