/**
 * Measures how long an event takes from its hook to the database, beside a collector that follows the spool:
 *
 *     npm run bench -- collector [--rate 200] [--seconds 20] [--screen] [--engine server|embedded]
 *
 * Events of one session come at a steady rate, as hooks append them; a second connection asks every 20 ms which of them
 * are there. With --screen a console is open in a terminal of 200×60: how long from the hook's write until a prompt is on its
 * screen, and from a key to its frame meanwhile, in turn with a program that only echoes the key. A prompt that scrolls by
 * between two frames counts as shown with the first one behind it. Once with a PostgreSQL server, once with the embedded
 * database. Each takes about 30 seconds more than twice --seconds; what is not there a minute after its end is lost, and fails.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from '../scripts/bundle.mjs';
import { provideTemplate } from '../scripts/build-template.mjs';
import type { Database } from '../src/db/database.js';
import { openDatabase } from '../src/embedded/index.js';
import { builtPrograms } from '../src/embedded/daemon/programs.js';
import { openEmbedded, stopEmbedded } from '../src/embedded/running.js';
import { frameOf } from '../src/ingest/hook/record.js';
import { appendFrame } from '../src/ingest/spool/append.js';
import { applySchema } from '../src/deploy/apply.js';
import { withBenchServer, type BenchServer } from './lib/bench-server.js';
import { isFilled } from '../test/e2e/helpers/filled.js';
import { spawn as openTerminal } from '../test/e2e/helpers/terminal.js';
import { openEcho, spreadOf, timeKeys } from './lib/key-times.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    screen: { type: 'boolean', default: false },
    engine: { type: 'string' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-bench-collector-'));
// Below the packages that the embedded engine is loaded from.
const programs = path.join(
  import.meta.dirname,
  `../node_modules/.cache/trace-console/bench-${process.pid}`,
);

/** A turn is a prompt, calls of a tool, and the agent's stop. */
const isPrompt = (number: number): boolean => number % 40 === 0;

/** Events that are not there so long after the last one do not come any more. */
const lostAfterMs = 60_000;

const promptOf = (turn: number): string => `Prompt ${turn} of the bench`;

function tell(spool: string, number: number): void {
  const turn = Math.floor(number / 40);
  const call = Math.floor((number % 40) / 2);
  const base = {
    session_id: `session-${turn % 8}`,
    prompt_id: `turn-${turn}`,
    cwd: '/home/user/app',
    tool_name: 'Bash',
    tool_use_id: `toolu_${turn}_${call}`,
    tool_input: { command: 'npm test', description: 'Run the tests' },
  };
  const events = [
    { ...base, hook_event_name: 'PreToolUse' },
    { ...base, hook_event_name: 'PostToolUse', tool_response: { stdout: 'ok\n'.repeat(600) } },
  ];
  const payload = isPrompt(number)
    ? { ...base, hook_event_name: 'UserPromptSubmit', prompt: promptOf(turn) }
    : number % 40 === 39
      ? { ...base, hook_event_name: 'Stop' }
      : events[number % 2];
  const input = JSON.stringify(payload);
  appendFrame(spool, frameOf({ cli: 'claude', event: undefined, input, atMs: Date.now() }, {}));
}

async function measure(name: string, database: Database, flags: readonly string[]): Promise<void> {
  const spool = path.join(folder, `spool-${name}`);
  const collector = spawn(process.execPath, [path.join(programs, 'main.js'), 'collect', ...flags], {
    env: { ...process.env, TRACE_CONSOLE_SPOOL: spool },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => collector.once('exit', resolve));
  const told = new Map<string, number>();
  const took: number[] = [];
  let isDone = false;
  let doneAt = Infinity;
  const look = async () => {
    while (!isDone || told.size > 0) {
      if (performance.now() - doneAt > lostAfterMs) throw new Error(`${told.size} calls are lost`);
      const rows = await database.read<{ id: string }>(
        `SELECT tool_use_id AS id FROM hook_executions WHERE tool_use_id = ANY ($1)`,
        [[...told.keys()]],
      );
      for (const { id } of rows) {
        took.push(Date.now() - (told.get(id) ?? 0));
        told.delete(id);
      }
      await sleep(20);
    }
  };
  try {
    tell(spool, 0);
    while (!fs.existsSync(path.join(spool, 'collector.json'))) await sleep(50);
    await sleep(1_000);
    const looking = look();
    const started = performance.now();
    for (let number = 2; number < rate * seconds; number += 1) {
      const due = started + (number / rate) * 1_000;
      if (due > performance.now()) await sleep(due - performance.now());
      if (number % 2 === 0 && !isPrompt(number)) {
        const turn = Math.floor(number / 40);
        told.set(`toolu_${turn}_${Math.floor((number % 40) / 2)}`, Date.now());
      }
      tell(spool, number);
    }
    isDone = true;
    doneAt = performance.now();
    await looking;
    console.log(
      `${name.padEnd(10)} ${took.length} calls at ${rate} events/s: median ${quantile(took, 0.5)} ms, p95 ${quantile(took, 0.95)} ms, longest ${Math.max(...took)} ms`,
    );
  } finally {
    collector.kill('SIGTERM');
    await ended;
  }
}

/** From a prompt's hook to the screen, and from keys to frames. */
async function measureScreen(name: string, flags: readonly string[]): Promise<void> {
  const spool = path.join(folder, `spool-screen-${name}`);
  const env = { HOME: folder, TRACE_CONSOLE_SPOOL: spool };
  const main = path.join(programs, 'main.js');
  const collector = spawn(process.execPath, [main, 'collect', ...flags], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => collector.once('exit', resolve));
  const size = { cols: 200, rows: 60 };
  const terminals = {
    console: openTerminal(process.execPath, [main, ...flags], { ...size, env }),
    echo: openEcho(size),
  };
  const told = new Map<number, number>();
  const took: number[] = [];
  let caught = 0;
  const look = (): void => {
    const shown = new Set(
      Array.from(terminals.console.text().matchAll(/Prompt (\d+) of the bench/g), ([, turn]) =>
        Number(turn),
      ),
    );
    const newest = Math.max(...shown);
    for (const [turn, atMs] of told) {
      if (turn > newest) continue;
      took.push(Date.now() - atMs);
      if (shown.has(turn)) caught += 1;
      told.delete(turn);
    }
  };
  const looking = terminals.console.emulator.onWriteParsed(look);
  try {
    tell(spool, 0);
    await terminals.console.waitFor(isFilled, 60_000);
    await terminals.console.waitFor('collecting', 60_000);
    await sleep(2_000);
    const started = performance.now();
    const isOver = () => performance.now() - started > seconds * 1_000;
    const telling = (async () => {
      // Turns of their own: those of the other measurement are there. The last event is a prompt, which stays on the screen.
      const firstNumber = 40_000;
      for (let number = firstNumber; !isOver() || !isPrompt(number - 1); number += 1) {
        const due = started + ((number - firstNumber) / rate) * 1_000;
        if (due > performance.now()) await sleep(due - performance.now());
        tell(spool, number);
        if (isPrompt(number)) told.set(Math.floor(number / 40), Date.now());
      }
    })();
    const times = await timeKeys(terminals, () => !isOver(), 180);
    await telling;
    const lostAt = Date.now() + lostAfterMs;
    while (told.size > 0) {
      if (Date.now() > lostAt) throw new Error(`${told.size} prompts never came onto the screen`);
      await sleep(50);
    }
    console.log(
      `${name.padEnd(10)} ${took.length} prompts to the screen at ${rate} events/s: median ${quantile(took, 0.5)} ms, p95 ${quantile(took, 0.95)} ms, longest ${Math.max(...took)} ms; ${caught} caught by a frame before they scrolled by`,
    );
    console.log(`${''.padEnd(10)} key to frame ${spreadOf(times.console)}`);
    console.log(`${''.padEnd(10)} an echo      ${spreadOf(times.echo)}`);
  } finally {
    looking.dispose();
    terminals.console.press('q');
    await terminals.console.waitForExit();
    for (const terminal of Object.values(terminals)) await terminal.dispose();
    collector.kill('SIGTERM');
    await ended;
  }
}

async function onServer(server: BenchServer): Promise<void> {
  const url = await server.create('trace_console_bench_collector');
  const database = await openDatabase({ url });
  try {
    await applySchema(database);
    await measure('server', database, ['--url', url]);
    if (values.screen) await measureScreen('server', ['--url', url]);
  } finally {
    await database.close();
  }
}

async function onEmbedded(): Promise<void> {
  const dataDir = path.join(folder, 'embedded');
  const built = builtPrograms(pathToFileURL(`${programs}/`));
  if (built === undefined) throw new Error('the programs were not built');
  const {
    host,
    port,
    user,
    database: name,
  } = await openEmbedded({
    dataDir,
    programs: built,
  });
  const place = new URLSearchParams({ host, port: String(port) });
  const database = await openDatabase({
    url: `postgresql://${user}@localhost/${name}?${place.toString()}`,
  });
  try {
    await applySchema(database);
    await measure('embedded', database, ['--data-dir', dataDir]);
    if (values.screen) await measureScreen('embedded', ['--data-dir', dataDir]);
  } finally {
    await database.close();
    await stopEmbedded(dataDir);
  }
}

try {
  await bundle(programs);
  await provideTemplate(
    path.join(programs, 'embedded-template.tar.gz'),
    path.join(import.meta.dirname, '../node_modules/.cache/trace-console'),
  );
  if (values.engine !== 'embedded') await withBenchServer(onServer);
  if (values.engine !== 'server') await onEmbedded();
} finally {
  for (const each of [folder, programs]) fs.rmSync(each, { recursive: true, force: true });
}
