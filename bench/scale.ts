/**
 * Every goal of speed and cost beside what was measured, in one run of the other benchmarks:
 *
 *     npm run bench -- scale [--short] [--only NAME …] [--out FILE] [--data FOLDER [--fill | --rest]]
 *
 * Fills what they need on servers of their own: 1 M traces with 10 M hooks for the overview, 1 M traces for the views, 100,000
 * embeddings of 1,536 dimensions, 400,000 traces with six children each for the archive. That is half an hour and 20 GB of
 * disk; with --short all of it is a fiftieth to a tenth, and says whether the benchmarks run rather than how quick things are.
 *
 * In parts: `--data FOLDER --fill` only fills what takes long, on a server in that folder, and passes over what an earlier run has filled;
 * with `--data FOLDER` the benchmarks find it there. With `--only` the table keeps its other lines, and `--rest` measures
 * those that have no figure yet.
 *
 * The table is written to bench/results/scale-DATE.md, anew after each benchmark, with the machine that it was measured on.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { benchmarks, type Goal } from './lib/goals.js';

/** What a line of the table says of one goal. */
type Line = { figure: string; how: string; load: string };

const { values: flags } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
    data: { type: 'string' },
    fill: { type: 'boolean', default: false },
    rest: { type: 'boolean', default: false },
  },
});
if ((flags.fill || flags.rest) && flags.data === undefined) {
  throw new Error('--fill and --rest need --data FOLDER');
}

type Run = { output: string; status: number | null; seconds: number; load: number };

function run(name: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    const began = performance.now();
    const script = path.join(import.meta.dirname, `${name}.ts`);
    const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
      cwd: path.join(import.meta.dirname, '..'),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        process.stdout.write(data);
      });
    }
    child.on('close', (status) =>
      resolve({
        output,
        status,
        seconds: (performance.now() - began) / 1_000,
        load: os.loadavg()[0] ?? 0,
      }),
    );
  });
}

/** By the figure alone, so that a line of an earlier part is judged as goals and reasons are now. */
function verdictOf({ limit, atLeast, because }: Goal, { figure, load }: Line): string {
  const value = Number.parseFloat(figure);
  if (Number.isNaN(value))
    return figure === '–' && load === '' ? notMeasured : 'no figure: the benchmark failed';
  if (atLeast ? value >= limit : value <= limit) return 'met';
  const isBusy = Number(load) > 2 * os.cpus().length;
  return `**missed**${isBusy ? ', beside other work' : ''}: ${because ?? 'why has not been looked at'}`;
}

const notMeasured = 'not measured';

const startedAt = new Date();
const date = startedAt.toISOString().slice(0, 10);
const file =
  flags.out ??
  path.join(import.meta.dirname, 'results', `scale-${date}${flags.short ? '-short' : ''}.md`);

const idOf = ({ id, name }: { id?: string; name: string }) => id ?? name;

/** By goal; a run that is broken off says what it has not measured, and one of a part keeps the lines of the others. */
const lines = new Map(
  benchmarks.flatMap((benchmark) =>
    benchmark.goals.map(
      ({ what }) =>
        [what, { figure: '–', how: `\`${idOf(benchmark)}\``, load: '' }] as [string, Line],
    ),
  ),
);
const isPart = flags.rest || flags.only.length > 0;
const before = isPart && existsSync(file) ? readFileSync(file, 'utf8') : '';
let postgres = /^Made by .* on (PostgreSQL \d+\.\d+)/m.exec(before)?.[1];
for (const line of before.split('\n')) {
  const [, what = '', , figure = '', , how = '', load = ''] = line
    .split('|')
    .map((cell) => cell.trim());
  if (lines.has(what) && load !== '') lines.set(what, { figure, how, load });
}
const isMissing = (what: string) => lines.get(what)?.load === '';
const chosen = benchmarks.filter(
  (benchmark) =>
    (flags.only.length === 0 || flags.only.includes(idOf(benchmark))) &&
    (!flags.fill || benchmark.keepsData) &&
    (!flags.rest || benchmark.goals.some(({ what }) => isMissing(what))),
);

function rowOf(goal: Goal): string {
  const line = lines.get(goal.what) ?? { figure: '–', how: '', load: '' };
  const cells = [goal.what, goal.goal, line.figure, verdictOf(goal, line), line.how, line.load];
  return `| ${cells.join(' | ')} |`;
}

function write(): void {
  const cpus = os.cpus();
  const text = [
    `# Goals and figures, ${date}${flags.short ? ' (short: small data)' : ''}`,
    '',
    `Made by \`npm run bench -- scale${flags.short ? ' --short' : ''}\` on ${postgres ?? 'no server yet'}.`,
    '',
    `${cpus.length} cores (${cpus[0]?.model.trim() ?? 'unknown'}), ${Math.round(os.totalmem() / 2 ** 30)} GB of memory, ` +
      `Node.js ${process.versions.node}, ${os.type()} ${os.release()}. The load is the machine's when the benchmark ended, of which`,
    'the benchmark itself is one to two: above that other work ran beside it, and figures in ms are of that machine.',
    '',
    '| what | goal | figure | verdict | benchmark | load |',
    '| --- | --- | --- | --- | --- | --- |',
    ...benchmarks.flatMap(({ goals }) => goals.map(rowOf)),
    '',
  ].join('\n');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

for (const { name, keepsData, args, shortArgs, goals } of chosen) {
  const given = flags.short ? shortArgs : args;
  const kept = keepsData && flags.data !== undefined ? ['--data', flags.data] : [];
  const command = ['npm run bench --', name, ...given].join(' ');
  process.stdout.write(`\n== ${command}\n`);
  const result = await run(name, [...given, ...kept, ...(flags.fill ? ['--fill'] : [])]);
  if (flags.fill) {
    if (result.status !== 0) process.exit(1);
    continue;
  }
  postgres = /PostgreSQL \d+\.\d+/.exec(result.output)?.[0] ?? postgres;
  for (const { what, finds, unit } of goals) {
    const figure = finds.exec(result.output)?.[1];
    lines.set(what, {
      figure: figure === undefined ? '–' : `${figure} ${unit}`.trim(),
      how: `\`${[name, ...given].join(' ')}\`, ${Math.round(result.seconds)} s`,
      load: result.load.toFixed(1),
    });
  }
  write();
}
// With --rest, and nothing left to measure, lines of earlier parts are judged anew.
if (!flags.fill && (chosen.length > 0 || isPart)) write();
process.stdout.write(
  `\n${flags.fill ? path.resolve(flags.data ?? '') : file}, after ${Math.round((Date.now() - startedAt.getTime()) / 1_000)} s\n`,
);
