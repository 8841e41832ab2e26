import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { hasTraffic, isFilled } from '../../test/e2e/helpers/filled.js';
import { spawn, type TerminalDriver } from '../../test/e2e/helpers/terminal.js';
import { writeAtOnce, type Writers } from '../../test/e2e/helpers/writers.js';
import { timeKeys, type KeyTimes } from './key-times.js';

const program = path.join(import.meta.dirname, '../../bin/trace-console.js');

export const screen = { cols: 200, rows: 60 };

/** The console in a terminal, with a home of its own; no server is named. */
export function openInHome(home: string, args: readonly string[] = []): TerminalDriver {
  fs.mkdirSync(home, { recursive: true });
  return spawn(process.execPath, [program, ...args], { ...screen, env: { HOME: home } });
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

/** The demo in a home of its own: to rows in every pane, and to a history that is whole (ms). */
export async function demoTimes(home: string): Promise<{ rows: number; whole: number }> {
  const begun = performance.now();
  const terminal = openInHome(home, ['--demo']);
  await terminal.waitFor(hasTraffic, 120_000);
  const rows = performance.now() - begun;
  const isFilling = (lines: string[]) => /history [█░]/.test(lines[1] ?? '');
  await terminal.waitFor(isFilling, 60_000);
  await terminal.waitFor((lines) => isFilled(lines) && !isFilling(lines), 300_000);
  const whole = performance.now() - begun;
  terminal.press('q');
  await terminal.waitForExit();
  await terminal.dispose();
  return { rows, whole };
}

/** Keys pressed in an open console, and in a program that only echoes them, until the writers are done. */
export async function keysBeside(
  terminals: { console: TerminalDriver; echo: TerminalDriver },
  writers: Writers,
): Promise<{ seconds: number; times: KeyTimes }> {
  let writing = true;
  const begun = performance.now();
  const written = writeAtOnce(writers).finally(() => (writing = false));
  const times = await timeKeys(terminals, () => writing, 60);
  await written;
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
