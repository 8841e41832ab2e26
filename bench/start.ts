/**
 * How soon the console is there, measured from outside on a server on loopback, in turn with what it is compared with:
 *
 *     npm run bench -- start [--runs 15] [--node PATH …] [--against FOLDER]
 *
 * A round starts each of these once, one after the other, so that all of them meet the same machine:
 *
 * - `node -e 0` and `trace-console --version`
 * - pg_activity (where it is installed) until its header is there, and until it shows a statement that runs
 * - the console until its header is there, until its panes are, and until no pane waits for its first rows any more
 * - `trace-console status --json`, until it has ended
 *
 * Figures are medians; trust the ratios of one run, not milliseconds. On a machine with other work trust those of processor time (Linux),
 * which is what a program itself has used until then: waits for a processor are not in it, nor the server's work. With --node other releases of Node are measured in the
 * same rounds (npm has them as packages, as `node@24`); with --against another version of the console, a folder with its build.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { spawn, type TerminalDriver } from '../test/e2e/helpers/terminal.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '15' },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    against: { type: 'string' },
  },
});
const programIn = (folder: string) => path.join(folder, 'bin/trace-console.js');
const program = programIn(path.join(import.meta.dirname, '..'));
const screen = { cols: 200, rows: 60 };
const hasPgActivity = spawnSync('pg_activity', ['--version']).status === 0;

/** Milliseconds of each round, by what was measured; of the processor, under its name with {@link ofProcessor}. */
const times = new Map<string, number[]>();
const ofProcessor = ', processor';

function add(name: string, ms: number): void {
  const known = times.get(name);
  if (known) known.push(ms);
  else times.set(name, [ms]);
}

const median = (name: string) => quantile(times.get(name) ?? [], 0.5);

/** What all threads of a process have used, milliseconds; NaN where that cannot be read. */
function processorMs(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
      const [used] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
      return sum + Number(used) / 1e6;
    }, 0);
  } catch {
    return NaN;
  }
}

function timeRun(name: string, command: string, args: readonly string[]): void {
  const started = performance.now();
  const { status, stderr } = spawnSync(command, [...args], { maxBuffer: 64 * 1024 * 1024 });
  add(name, performance.now() - started);
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${String(stderr)}`);
}

/** Waits for each stage of what a program shows, in order, and says how long each took from the start. */
async function timeStages(
  start: () => TerminalDriver,
  stages: Readonly<Record<string, (text: string) => boolean>>,
): Promise<void> {
  const started = performance.now();
  const terminal = start();
  for (const [name, isThere] of Object.entries(stages)) {
    await seen(terminal, isThere);
    add(name, performance.now() - started);
    add(name + ofProcessor, processorMs(terminal.pid));
  }
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
}

/** Looks after each write of the program, as the eye does. */
function seen(terminal: TerminalDriver, isThere: (text: string) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const looking = terminal.emulator.onWriteParsed(() => look());
    const late = setTimeout(() => {
      looking.dispose();
      reject(new Error(`30 s passed; the screen shows:\n${terminal.text()}`));
    }, 30_000);
    const look = () => {
      if (!isThere(terminal.text())) return;
      looking.dispose();
      clearTimeout(late);
      resolve();
    };
    look();
  });
}

const stagesOf = (of: string) => ({
  [`${of}: header`]: (text: string) => text.includes('trace-console  '),
  [`${of}: panes`]: (text: string) => text.includes('1 Recent traces'),
  [`${of}: rows in every pane`]: (text: string) =>
    text.includes('1 Recent traces') && !text.includes('asking …') && !text.includes('fetching'),
});

/** What is measured with one release of Node, and one version of the console. */
type Subject = { name: string; node: string; of: string };

async function round(url: string, subjects: readonly Subject[]): Promise<void> {
  for (const { name, node, of } of subjects) {
    timeRun(`${name}: node -e 0`, node, ['-e', '0']);
    timeRun(`${name}: --version`, node, [of, '--version']);
    if (hasPgActivity) {
      await timeStages(() => spawn('pg_activity', [url], screen), {
        [`${name}: pg_activity header`]: (text) => /PostgreSQL \d/.test(text),
        [`${name}: pg_activity rows`]: (text) => text.includes('pg_sleep'),
      });
    }
    await timeStages(() => spawn(node, [of, '--url', url], screen), stagesOf(name));
    timeRun(`${name}: status --json`, node, [of, 'status', '--json', '--url', url]);
  }
}

function report({ name }: Subject): void {
  const line = (what: string, than: string, limit: number) => {
    const known = times.get(`${name}: ${what}`) ?? [];
    const ratio = median(`${name}: ${what}`) / median(`${name}: ${than}`);
    const spread = `${Math.min(...known).toFixed(0)}–${Math.max(...known).toFixed(0)}`;
    const verdict = Number.isNaN(ratio) ? '' : `${ratio.toFixed(2)} × ${than}`;
    const used =
      median(`${name}: ${what}${ofProcessor}`) / median(`${name}: ${than}${ofProcessor}`);
    const judged = Number.isNaN(ratio) ? 'not compared' : ratio <= limit ? 'met' : 'MISSED';
    console.log(
      `  ${what.padEnd(20)} ${median(`${name}: ${what}`).toFixed(0).padStart(4)} ms (${spread})  ${verdict}` +
        (limit === Infinity ? '' : `  (limit ${limit}: ${judged})`) +
        (used > 0 ? `  processor ${used.toFixed(2)} ×` : ''),
    );
  };
  console.log(name);
  console.log(
    `  ${'node -e 0'.padEnd(20)} ${median(`${name}: node -e 0`).toFixed(0).padStart(4)} ms`,
  );
  for (const theirs of hasPgActivity ? ['pg_activity header', 'pg_activity rows'] : []) {
    console.log(`  ${theirs.padEnd(20)} ${median(`${name}: ${theirs}`).toFixed(0).padStart(4)} ms`);
  }
  line('--version', 'node -e 0', 1.3);
  line('header', 'pg_activity header', 1);
  line('panes', 'pg_activity rows', Infinity);
  line('rows in every pane', 'pg_activity rows', 1.5);
  line('status --json', 'pg_activity rows', 1.2);
}

await withBenchServer(async (server) => {
  const url = await server.create('bench_start');
  await applySchemaFiles(url);
  const history = ['--backfill', '2d', '--traces', '3000'];
  spawnSync(process.execPath, [program, 'demo', '--url', url, '--yes', ...history]);
  console.log(`${server.description}; ${values.runs} rounds`);
  if (!hasPgActivity) console.log('pg_activity is not installed: nothing to compare with');
  const versions = [
    { name: '', of: program },
    ...(values.against === undefined
      ? []
      : [{ name: ', version before', of: programIn(path.resolve(values.against)) }]),
  ];
  const subjects = values.node.flatMap((node) => {
    const release = String(spawnSync(node, ['--version']).stdout).trim();
    return versions.map(({ name, of }) => ({ name: `Node ${release}${name}`, node, of }));
  });
  await connected(url, async (client) => {
    // pg_activity shows what runs: this does.
    const sleeping = client.query('SELECT pg_sleep(3600)').catch(() => undefined);
    // The first round warms the caches and does not count.
    await round(url, subjects);
    times.clear();
    for (let run = 0; run < Number(values.runs); run += 1) await round(url, subjects);
    await connected(url, (other) =>
      other.query(
        `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'`,
      ),
    );
    await sleeping;
  });
  for (const subject of subjects) report(subject);
});
process.exit(0);
