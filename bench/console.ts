/**
 * Measures the live console from outside, in a pseudo terminal at 200×60, beside live demo traffic on a server of its own:
 *
 *     npm run bench -- console [--seconds 60] [--rate 5] [--key-rate 50] [--runs 7] [--keys 200]
 *
 * - first frame, in turn with pg_activity (where it is installed) and with bare `node -e 0`
 * - from a key to the frame that shows it, while --key-rate traces a second flow and one table is locked
 * - processor time, bytes to the terminal and memory over --seconds at the 2 s cadence and --rate
 *
 * Trust the ratios of one run: absolute times are this machine's, whatever else it is doing.
 */
import { spawn as spawnProcess, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { spawn, type TerminalDriver } from '../test/e2e/helpers/terminal.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '5' },
    'key-rate': { type: 'string', default: '50' },
    runs: { type: 'string', default: '7' },
    keys: { type: 'string', default: '200' },
  },
});
const program = path.join(import.meta.dirname, '../bin/trace-console.js');
const screen = { cols: 200, rows: 60 };
/** Kernel clock ticks a second, in which /proc counts processor time; 100 on every Linux of today. */
const ticksPerSecond = 100;

function openConsole(url: string): TerminalDriver {
  return spawn(process.execPath, [program, '--url', url], screen);
}

function startDemo(url: string, rate: string): ChildProcess {
  return spawnProcess(process.execPath, [program, 'demo', '--url', url, '--yes', '--rate', rate], {
    stdio: 'ignore',
  });
}

async function stopDemo(demo: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => demo.once('exit', resolve));
  demo.kill('SIGTERM');
  await ended;
}

const summary = (times: number[]) =>
  `median ${quantile(times, 0.5).toFixed(0)} ms (${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)})`;

async function firstFrames(url: string): Promise<void> {
  const hasPgActivity = spawnSync('pg_activity', ['--version']).status === 0;
  const ours: number[] = [];
  const theirs: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run <= Number(values.runs); run += 1) {
    const started = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    const control = performance.now() - started;
    const frame = await timeToFrame(openConsole(url), /trace-console/);
    const other = hasPgActivity
      ? await timeToFrame(spawn('pg_activity', [url], screen), /PostgreSQL|DURATION/)
      : undefined;
    // The first round warms the caches and does not count.
    if (run === 0) continue;
    bare.push(control);
    ours.push(frame);
    if (other !== undefined) theirs.push(other);
  }
  console.log(`first frame         ${summary(ours)}`);
  console.log(`  bare node -e 0    ${summary(bare)}`);
  console.log(
    hasPgActivity
      ? `  pg_activity       ${summary(theirs)}; ours / theirs ${(quantile(ours, 0.5) / quantile(theirs, 0.5)).toFixed(2)}`
      : '  pg_activity       not installed',
  );
}

async function timeToFrame(terminal: TerminalDriver, shows: RegExp): Promise<number> {
  const started = performance.now();
  await terminal.waitFor(shows, 30_000);
  const time = performance.now() - started;
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
  return time;
}

async function keyToFrame(url: string): Promise<void> {
  const demo = startDemo(url, values['key-rate']);
  const terminal = openConsole(url);
  await terminal.waitFor(/6 Activity[\s\S]*following/, 30_000);
  await sleep(5_000);
  const times = await connected(url, async (client) => {
    // The pane of patterns waits for its lock time-out again and again.
    await client.query('BEGIN; LOCK TABLE success_patterns IN ACCESS EXCLUSIVE MODE');
    const measured: number[] = [];
    for (let press = 0; press < Number(values.keys); press += 1) {
      const pane = 1 + (press % 6);
      const started = performance.now();
      terminal.press(String(pane));
      await terminal.waitFor(new RegExp(`┏━ ${pane} `), 10_000);
      measured.push(performance.now() - started);
      await sleep(20 + ((press * 37) % 180));
    }
    await client.query('ROLLBACK');
    return measured;
  });
  console.log(
    `key to frame        p50 ${quantile(times, 0.5).toFixed(0)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms, max ${Math.max(...times).toFixed(0)} ms (${times.length} keys; the screen is looked at every 10 ms)`,
  );
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
  await stopDemo(demo);
}

function usage(pid: number): { cpuSeconds: number; residentMb: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuSeconds: ticks / ticksPerSecond, residentMb: (Number(fields[21]) * 4096) / 2 ** 20 };
}

async function steadyCost(url: string): Promise<void> {
  const demo = startDemo(url, values.rate);
  const terminal = openConsole(url);
  await terminal.waitFor(/6 Activity[\s\S]*following/, 30_000);
  // Start-up and just-in-time compilation are no steady cost.
  await sleep(20_000);
  const seconds = Number(values.seconds);
  const samples: { at: number; mb: number }[] = [];
  const before = { ...usage(terminal.pid), bytes: terminal.bytes };
  for (let second = 0; second < seconds; second += 5) {
    await sleep(Math.min(5, seconds - second) * 1_000);
    samples.push({ at: second, mb: usage(terminal.pid).residentMb });
  }
  const after = usage(terminal.pid);
  const cpu = ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100;
  const traffic = (terminal.bytes - before.bytes) / seconds / 1024;
  console.log(
    `processor           ${cpu.toFixed(2)} % of a core over ${seconds} s, ${values.rate} traces/s`,
  );
  console.log(`to the terminal     ${traffic.toFixed(2)} kB/s`);
  const third = Math.max(1, Math.floor(samples.length / 3));
  const mean = (part: typeof samples) => part.reduce((sum, { mb }) => sum + mb, 0) / part.length;
  console.log(
    `resident memory     ${mean(samples.slice(0, third)).toFixed(0)} MB in the first third, ${mean(samples.slice(-third)).toFixed(0)} MB in the last`,
  );
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
  await stopDemo(demo);
}

await withBenchServer(async (server) => {
  const url = await server.create('bench_console');
  await applySchemaFiles(url);
  spawnSync(process.execPath, [
    ...[program, 'demo', '--url', url, '--yes', '--backfill', '2d', '--traces', '3000'],
  ]);
  console.log(server.description);
  await firstFrames(url);
  await keyToFrame(url);
  await steadyCost(url);
});
process.exit(0);
