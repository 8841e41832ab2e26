import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFilled } from '../../test/e2e/helpers/filled.js';
import { spawn, type TerminalDriver } from '../../test/e2e/helpers/terminal.js';
import { writeAtOnce, type Writers } from '../../test/e2e/helpers/writers.js';

const program = path.join(import.meta.dirname, '../../bin/trace-console.js');

/** The console in a terminal, with a home of its own; no server is named. */
export function openInHome(home: string): TerminalDriver {
  fs.mkdirSync(home, { recursive: true });
  return spawn(process.execPath, [program], { cols: 200, rows: 60, env: { HOME: home } });
}

/** From the command to the header, to the first word of what is being done, to rows in every pane (ms). */
export async function startTimes(home: string): Promise<{ header: number; panes: number }> {
  const begun = performance.now();
  const terminal = openInHome(home);
  await terminal.waitFor('trace-console', 60_000);
  const header = performance.now() - begun;
  await terminal.waitFor(isFilled, 120_000);
  const panes = performance.now() - begun;
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
  return { header, panes };
}

/** Keys pressed in an open console until the writers are done; the time from each to its frame (ms). */
export async function keysBeside(
  terminal: TerminalDriver,
  writers: Writers,
): Promise<{ seconds: number; times: number[] }> {
  const done = new AbortController();
  const begun = performance.now();
  const writing = writeAtOnce(writers).finally(() => done.abort());
  const times: number[] = [];
  while (!done.signal.aborted) {
    const pane = 1 + (times.length % 6);
    const pressed = performance.now();
    terminal.press(String(pane));
    await terminal.waitFor(new RegExp(`┏━ ${pane} `), 30_000);
    times.push(performance.now() - pressed);
    await sleep(20 + ((times.length * 37) % 60));
  }
  await writing;
  return { seconds: (performance.now() - begun) / 1000, times };
}

/** Where psql is on this machine; undefined when it is not installed. */
export function findPsql(): string | undefined {
  try {
    return execFileSync('sh', ['-c', 'command -v psql'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
