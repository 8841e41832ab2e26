import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, expect, inject } from 'vitest';
import { noConfigFile } from '../../helpers/cli.js';
import { isFilled } from './filled.js';
import { spawn, type SpawnOptions, type TerminalDriver } from './terminal.js';

/** The sizes for which a layout was designed. */
export const sizes = [
  { cols: 200, rows: 60 },
  { cols: 120, rows: 35 },
  { cols: 80, rows: 24 },
] as const;

export type ConsoleOptions = SpawnOptions & {
  args?: readonly string[];
  /** Ended after the file, for tests that follow each other in one console. */
  isShared?: true;
};

const open: TerminalDriver[] = [];
const shared: TerminalDriver[] = [];
let stateFolder: string | undefined;

afterEach(async () => {
  await Promise.all(open.splice(0).map((driver) => driver.dispose()));
});

afterAll(async () => {
  await Promise.all(shared.splice(0).map((driver) => driver.dispose()));
  if (stateFolder) fs.rmSync(stateFolder, { recursive: true, force: true });
});

/** Starts the console as users do, on a database, in a terminal. Ended after the test, unless it is shared. Without a url the arguments name it. */
export function startConsole(
  url: string | undefined,
  options: ConsoleOptions = {},
): TerminalDriver {
  stateFolder ??= fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-state-'));
  const { args = [], isShared, ...rest } = options;
  const program = path.join(inject('programs'), 'main.js');
  const place = url === undefined ? [] : ['--url', url];
  const driver = spawn(process.execPath, [program, ...place, ...args], {
    ...rest,
    // Each its own: a console remembers how it was left.
    env: {
      XDG_STATE_HOME: fs.mkdtempSync(path.join(stateFolder, 'run-')),
      ...noConfigFile,
      ...rest.env,
    },
  });
  (isShared ? shared : open).push(driver);
  return driver;
}

/** As {@link startConsole}; waits until every pane has answered. */
export async function openConsole(
  url: string,
  options: ConsoleOptions = {},
): Promise<TerminalDriver> {
  const driver = startConsole(url, options);
  await driver.waitFor(isFilled, 30_000);
  return driver;
}

/**
 * Waits for a screen while asking again and again, as a reader with Ctrl-R does: on a busy machine
 * the console asks seldom by itself, because answers seem to cost the server much.
 */
export async function refreshUntil(
  driver: TerminalDriver,
  condition: Parameters<TerminalDriver['waitFor']>[0],
  timeout = 30_000,
): Promise<void> {
  // A pane that is being fetched would begin anew.
  const isFetching = () => /fetching \d+%/.test(driver.text());
  const timer = setInterval(() => isFetching() || driver.press('\x12'), 700);
  try {
    await driver.waitFor(condition, timeout);
  } finally {
    clearInterval(timer);
  }
}

/** What stands in the box of a pane (or dialog) with this title, one line a row. */
export function boxOf(lines: readonly string[], title: string): string[] {
  const top = lines.findIndex((line) => line.includes(title) && /[┌┏]/.test(line));
  const start = lines[top];
  if (start === undefined) return [];
  const at = start.indexOf(title);
  const left = Math.max(start.lastIndexOf('┌', at), start.lastIndexOf('┏', at));
  const ends = ['┐', '┓'].map((corner) => start.indexOf(corner, at)).filter((end) => end >= 0);
  const right = Math.min(...ends, start.length);
  const rows = lines.slice(top + 1);
  const bottom = rows.findIndex((line) => /[└┗]/.test(line.charAt(left)));
  return rows.slice(0, bottom).map((line) => line.slice(left + 2, right - 1).trimEnd());
}

/** Every border stands in its column: no cell has moved another. */
export function expectIntact(
  driver: TerminalDriver,
  { cols, rows }: { cols: number; rows: number },
): void {
  expect(driver.screen()[0]).toContain('● connected');
  const at = (column: number, row: number) => driver.cell(column, row)?.getChars() ?? '';
  const framed = Array.from({ length: rows }, (_, row) => row).filter((row) =>
    '│┃┌┏└┗'.includes(at(0, row) || ' '),
  );
  expect(framed.length).toBeGreaterThan(4);
  for (const row of framed) expect(at(cols - 1, row)).toMatch(/^[│┃┐┓┘┛]$/);
}
