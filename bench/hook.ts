/**
 * Measures the hook as a whole process, in pairs with bare `node -e 0`, in turn:
 *
 *     npm run bench -- hook [--pairs 40]
 *
 * Wall and processor time of each, the ratio of each pair, and the median of the ratios; nothing of it needs a database,
 * which the hook never speaks to. Trust the ratios of one run: absolute times are this machine's.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../scripts/bundle.mjs';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '40' } } });
const pairs = Number(values.pairs);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-bench-hook-'));

type Times = { wallMs: number; processorMs: number };

/** Runs a program with a file as its stdin, and has bash measure it. */
function timed(args: readonly string[], input: string, env: Record<string, string> = {}): Times {
  const script = 'TIMEFORMAT="%3R %3U %3S"; input="$1"; shift; time "$@" < "$input" > /dev/null';
  const { stderr } = spawnSync('bash', ['-c', script, 'bash', input, process.execPath, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C', ...env },
  });
  const [wall = NaN, user = NaN, system = NaN] = stderr.trim().split(' ').map(Number);
  return { wallMs: wall * 1000, processorMs: (user + system) * 1000 };
}

/** @param setUp before each run of the hook */
function compare(
  name: string,
  args: readonly string[],
  input: string,
  env: Record<string, string>,
  setUp: () => void = () => undefined,
): void {
  const wall: number[] = [];
  const processor: number[] = [];
  const ours: Times[] = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    setUp();
    const control = () => timed(['-e', '0'], '/dev/null');
    const hook = () => timed(args, input, env);
    // Each is first in every second pair.
    const [bare, measured] = pair % 2 === 0 ? [control(), hook()] : [hook(), control()].reverse();
    // The first pair reads the programs from disk.
    if (pair === 0 || bare === undefined || measured === undefined) continue;
    wall.push(measured.wallMs / bare.wallMs);
    processor.push(measured.processorMs / bare.processorMs);
    ours.push(measured);
  }
  const median = (numbers: number[], digits: number) => quantile(numbers, 0.5).toFixed(digits);
  const wallMs = ours.map((each) => each.wallMs);
  console.log(
    `${name.padEnd(42)} wall ${median(wall, 2)} × (${median(wallMs, 0)} ms, p95 ${quantile(wallMs, 0.95).toFixed(0)} ms)   processor ${median(processor, 2)} ×`,
  );
}

/** @param line what the tool's answer repeats */
function payloadOf(bytes: number, line = plainLine): string {
  const file = path.join(folder, `payload-${bytes}-${line.length}.json`);
  const base = {
    session_id: '6f1c7a52-93a6-4f0c-8f6d-0d9f0f3a1b11',
    transcript_path: '/home/user/.claude/projects/-home-user-app/6f1c7a52.jsonl',
    cwd: '/home/user/app',
    hook_event_name: 'PostToolUse',
    tool_name: 'Bash',
    tool_use_id: 'toolu_01A09q90qw90lq917835lq9',
    tool_input: { command: 'npm test', description: 'Run the tests' },
  };
  // As tools answer: an object of a few texts, none over the limit of a field.
  const pieces = Math.max(1, Math.ceil(bytes / 50_000));
  const text = line.repeat(Math.ceil(bytes / pieces / line.length));
  const response = Object.fromEntries(
    Array.from({ length: pieces }, (_, index) => [`part${index}`, text]),
  );
  fs.writeFileSync(file, JSON.stringify({ ...base, tool_response: response }));
  return file;
}

const plainLine = 'ok 12 - reads the settings of a project (3.1 ms)\n';
/** Of fifty lines one has something to take out. */
const withSecrets = `${plainLine.repeat(49)}  password: "correct-horse-battery",\n`;

const programs = path.join(folder, 'programs');
await bundle(programs);
const hook = path.join(programs, 'hook.cjs');
const spool = path.join(folder, 'spool');
const withCollector = { TRACE_CONSOLE_SPOOL: spool };
/** The spool is there, as it is for all hooks but the very first. */
const noCollector = () => {
  for (const name of ['collector.lock', 'starting'])
    fs.rmSync(path.join(spool, name), { force: true });
};
const livingCollector = () => {
  fs.mkdirSync(spool, { recursive: true });
  // This process stands for the collector: the hook asks only whether it lives.
  fs.writeFileSync(path.join(spool, 'collector.lock'), JSON.stringify({ pid: process.pid }));
};

try {
  const [small, large] = [payloadOf(4_000), payloadOf(200_000)];
  compare('4 KB', [hook, 'claude'], small, withCollector, livingCollector);
  compare('200 KB', [hook, 'claude'], large, withCollector, livingCollector);
  const secrets = payloadOf(200_000, withSecrets);
  compare('200 KB with 80 secrets', [hook, 'claude'], secrets, withCollector, livingCollector);
  const alone = { ...withCollector, TRACE_CONSOLE_COLLECTOR: 'off' };
  compare('4 KB, no collector, none to be started', [hook, 'claude'], small, alone, noCollector);
  compare('200 KB, no collector, none to be started', [hook, 'claude'], large, alone, noCollector);
  // main.js is missing there: what is measured is the start of a process, not what it does.
  const bare = path.join(folder, 'bare');
  fs.mkdirSync(bare);
  fs.copyFileSync(hook, path.join(bare, 'hook.cjs'));
  const starting = [path.join(bare, 'hook.cjs'), 'claude'];
  compare('4 KB, and a collector is started', starting, small, withCollector, noCollector);
  compare('200 KB, and a collector is started', starting, large, withCollector, noCollector);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
