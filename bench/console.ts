/**
 * Measures the live console from outside, in a pseudo terminal at 200×60, beside live demo traffic on a server of its own:
 *
 *     npm run bench -- console [--seconds 60] [--rate 5] [--key-rate 200] [--runs 7] [--keys 300]
 *         [--against FOLDER]
 *
 * - first frame, in turn with pg_activity (where it is installed) and with bare `node -e 0`
 * - from a key to the frame that shows it, while --key-rate traces a second flow and one pane's query takes 5 s; in turn
 *   with a program of one line that only echoes the key, which shows what the machine adds
 * - processor time of the whole process tree, bytes to the terminal and resident memory over --seconds at the 2 s cadence
 *   and --rate, with pg_activity at its 2 s beside it; and, of a second console, what stays on the heap after a garbage
 *   collection: its slope is what hours of running add (--seconds 1800 for half an hour)
 *
 * With --against another version, a folder with its build (`git worktree add FOLDER TAG`, `npm ci`, `npm run build`), is
 * measured beside this one in the same run, on the same rows: no other figure says whether it has become slower.
 *
 * A part is left out by a 0: --runs 0, --seconds 0, --keys 0. Trust the ratios of one run: absolute times are this
 * machine's, whatever else it is doing.
 */
import { spawn as spawnProcess, spawnSync, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { spawn, type TerminalDriver } from '../test/e2e/helpers/terminal.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { HeapWatch } from './lib/heap-watch.js';
import { openEcho, spreadOf, timeKeys } from './lib/key-times.js';
import { usageOf } from './lib/process-usage.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '5' },
    'key-rate': { type: 'string', default: '200' },
    runs: { type: 'string', default: '7' },
    keys: { type: 'string', default: '300' },
    against: { type: 'string' },
  },
});
const programIn = (folder: string) => path.join(folder, 'bin/trace-console.js');
const program = programIn(path.join(import.meta.dirname, '..'));
/** The version before, if it is measured, too. */
const before = values.against === undefined ? undefined : programIn(path.resolve(values.against));
const screen = { cols: 200, rows: 60 };
const hasPgActivity = spawnSync('pg_activity', ['--version']).status === 0;
const warmUpMs = 20_000;
const filled = /\d Activity[\s\S]*following/;

type Opened = { watch?: HeapWatch; of?: string };

function openConsole(url: string, { watch, of = program }: Opened = {}): TerminalDriver {
  const env = watch?.environment ?? {};
  const flags = watch?.flags ?? [];
  return spawn(process.execPath, [...flags, of, '--url', url], { ...screen, env });
}

async function quit(terminal: TerminalDriver): Promise<void> {
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
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

const ratio = (ours: number, theirs: number) => `ours / theirs ${(ours / theirs).toFixed(2)}`;

const summary = (times: number[]) =>
  `median ${quantile(times, 0.5).toFixed(0)} ms (${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)})`;

async function firstFrames(url: string): Promise<void> {
  const ours: number[] = [];
  const old: number[] = [];
  const theirs: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run <= Number(values.runs); run += 1) {
    const started = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    const control = performance.now() - started;
    const frame = await timeToFrame(openConsole(url), /trace-console {2}/);
    const oldFrame =
      before === undefined
        ? undefined
        : await timeToFrame(openConsole(url, { of: before }), /trace-console {2}/);
    const other = hasPgActivity
      ? await timeToFrame(spawn('pg_activity', [url], screen), /PostgreSQL|DURATION/)
      : undefined;
    // The first round warms the caches and does not count.
    if (run === 0) continue;
    bare.push(control);
    ours.push(frame);
    if (oldFrame !== undefined) old.push(oldFrame);
    if (other !== undefined) theirs.push(other);
  }
  console.log(`first frame         ${summary(ours)}`);
  if (before !== undefined) {
    console.log(
      `  version before    ${summary(old)}; ${ratio(quantile(ours, 0.5), quantile(old, 0.5))}`,
    );
  }
  console.log(`  bare node -e 0    ${summary(bare)}`);
  console.log(
    hasPgActivity
      ? `  pg_activity       ${summary(theirs)}; ${ratio(quantile(ours, 0.5), quantile(theirs, 0.5))}`
      : '  pg_activity       not installed',
  );
}

async function timeToFrame(terminal: TerminalDriver, shows: RegExp): Promise<number> {
  const started = performance.now();
  await terminal.waitFor(shows, 30_000);
  const time = performance.now() - started;
  await quit(terminal);
  return time;
}

async function keyToFrame(url: string): Promise<void> {
  const demo = startDemo(url, values['key-rate']);
  const terminal = openConsole(url);
  const old = before === undefined ? undefined : openConsole(url, { of: before });
  const control = openEcho(screen);
  for (const each of [terminal, old]) await each?.waitFor(filled, 30_000);
  await connected(url, async (client) => {
    await client.query(slowPatterns);
    await sleep(5_000);
    const keys = Number(values.keys);
    let slow = 0;
    const times = await timeKeys(
      { console: terminal, before: old, echo: control },
      async (press) => {
        if (press > 0) slow += Math.min(1, (await client.query(slowIsRunning)).rowCount ?? 0);
        // What costs much is asked seldom: Ctrl-R has it asked again as soon as it was answered.
        if (press % 15 === 0) for (const each of [terminal, old]) each?.press('\x12');
        return press < keys;
      },
      180,
    );
    console.log(
      `key to frame        ${spreadOf(times.console)}; ` +
        `${keys} keys, ${values['key-rate']} traces/s, the slow query was running at ${Math.round((100 * slow) / keys)} % of them`,
    );
    if (before !== undefined) {
      const middle = ratio(quantile(times.console, 0.5), quantile(times.before, 0.5));
      console.log(`  version before    ${spreadOf(times.before)}; ${middle}`);
    }
    console.log(`  an echo alone     ${spreadOf(times.echo)}`);
  });
  for (const each of [terminal, old]) if (each) await quit(each);
  await control.dispose();
  await stopDemo(demo);
}

/** The pane of patterns then takes 4.9 s, just within its time-out. */
const slowPatterns = `
  DROP VIEW pattern_effectiveness;
  CREATE VIEW pattern_effectiveness AS
  SELECT pg_sleep(4.9)::text AS pattern_hash, 1.0 AS success_rate, 1 AS total_usage_count`;
const slowIsRunning = `
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'`;

async function steadyCost(url: string): Promise<void> {
  const seconds = Number(values.seconds);
  // A window that fills up makes the console keep more: it is full from the beginning.
  const lastHour = [
    '--backfill',
    '1h',
    '--traces',
    String(Math.round(3_600 * Number(values.rate))),
  ];
  spawnSync(process.execPath, [program, 'demo', '--url', url, '--yes', ...lastHour]);
  const demo = startDemo(url, values.rate);
  const lookEveryMs = Math.max(5_000, (1_000 * seconds) / 60);
  const versions = [program, ...(before === undefined ? [] : [before])].map((of) => {
    const watch = new HeapWatch(lookEveryMs);
    const measured = openConsole(url, { of });
    return { watch, measured, watched: openConsole(url, { of, watch }), resident: [] as number[] };
  });
  const theirs = hasPgActivity ? spawn('pg_activity', [url], screen) : undefined;
  for (const { measured, watched } of versions) {
    for (const terminal of [measured, watched]) await terminal.waitFor(filled, 30_000);
  }
  // Start-up and just-in-time compilation are no steady cost.
  await sleep(warmUpMs);
  const cpuOf = (terminal: TerminalDriver) => usageOf(terminal.pid).cpuSeconds;
  const began = versions.map(({ measured }) => ({ cpu: cpuOf(measured), bytes: measured.bytes }));
  const theirCpu = theirs && cpuOf(theirs);
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1_000;
  while (elapsed() < seconds) {
    await sleep(Math.min(5_000, 1_000 * Math.max(0, seconds - elapsed())));
    for (const { measured, resident } of versions) resident.push(usageOf(measured.pid).residentMb);
  }
  const took = elapsed();
  const costs = versions.map(({ measured }, index) => ({
    cpu: (100 * (cpuOf(measured) - (began[index]?.cpu ?? 0))) / took,
    kilobytes: (measured.bytes - (began[index]?.bytes ?? 0)) / took / 1024,
  }));
  const other = theirs && (100 * (cpuOf(theirs) - (theirCpu ?? 0))) / took;
  for (const [index, { watch, resident }] of versions.entries()) {
    const { cpu, kilobytes } = costs[index] ?? { cpu: 0, kilobytes: 0 };
    if (index > 0) console.log('version before:');
    const beside =
      other === undefined ? '' : `; pg_activity ${other.toFixed(2)} %, ${ratio(cpu, other)}`;
    console.log(
      `processor           ${cpu.toFixed(2)} % of a core over ${seconds} s, ${values.rate} traces/s${beside}`,
    );
    console.log(`to the terminal     ${kilobytes.toFixed(2)} kB/s`);
    const third = Math.max(1, Math.floor(resident.length / 3));
    const mean = (part: number[]) => part.reduce((sum, mb) => sum + mb, 0) / part.length;
    console.log(
      `resident memory     ${mean(resident.slice(0, third)).toFixed(0)} MB in the first third, ${mean(resident.slice(-third)).toFixed(0)} MB in the last`,
    );
    console.log(`heap in use         ${watch.summary(warmUpMs)}`);
  }
  for (const { measured, watched, watch } of versions) {
    for (const terminal of [measured, watched]) await quit(terminal);
    watch.remove();
  }
  if (theirs) await quit(theirs);
  await stopDemo(demo);
}

await withBenchServer(async (server) => {
  const url = await server.create('bench_console');
  await applySchemaFiles(url);
  spawnSync(process.execPath, [
    ...[program, 'demo', '--url', url, '--yes', '--backfill', '2d', '--traces', '3000'],
  ]);
  console.log(server.description);
  if (values.runs !== '0') await firstFrames(url);
  if (values.seconds !== '0') await steadyCost(url);
  if (values.keys !== '0') await keyToFrame(url);
});
process.exit(0);
