import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole, refreshUntil } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import type { TerminalDriver } from './helpers/terminal.js';

const traces = 450;
const size = { cols: 160, rows: 40 };
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, traces);
  await database.query(
    `UPDATE execution_traces SET project = CASE WHEN substr(prompt_text, 15)::int <= 90 THEN 'billing' ELSE 'web' END,
       status = CASE WHEN substr(prompt_text, 15)::int % 9 = 0 THEN 'failed' ELSE status END,
       duration_ms = substr(prompt_text, 15)::int;
     ANALYZE`,
  );
});

/** The numbers of the prompts that are shown, from top to bottom. */
const numbersOf = (driver: TerminalDriver, title: string) =>
  boxOf(driver.screen(), title).flatMap((line) => /prompt number (\d+)/.exec(line)?.[1] ?? []);

async function chosen(driver: TerminalDriver, number: number): Promise<void> {
  await driver.waitFor(() => {
    // What marks a row stands before the cursor's line.
    const isInverse = (at: number) => [2, 4].some((column) => driver.cell(column, at)?.isInverse());
    const row = driver.screen().findIndex((_, at) => isInverse(at));
    return new RegExp(`prompt number ${number}\\b`).test(driver.screen()[row] ?? '');
  });
}

describe('a list of traces', () => {
  it('is filtered, sorted, marked and windowed as a pane is, and keeps its row while others come', async () => {
    const db = await createTestDatabase();
    await addTraces(db, 40);
    await db.query(`UPDATE execution_traces SET duration_ms = substr(prompt_text, 15)::int`);
    const driver = await openConsole(db.url, size);
    driver.press('1\r');
    await driver.waitFor(/40 in 1h/);
    driver.press('jjjm');
    await driver.waitFor('1 marked');
    await chosen(driver, 5);
    await addTraces(db, 2);
    await refreshUntil(driver, /42 in 1h/);
    await chosen(driver, 5);
    expect(
      boxOf(driver.screen(), 'Traces: completed').filter((line) => line.startsWith('●')),
    ).toEqual([expect.stringContaining('prompt number 4')]);
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('1 marked'));
    driver.press('s');
    await driver.waitFor('slowest first');
    await driver.waitFor(
      () => numbersOf(driver, 'Traces: completed').slice(2, 5).join() === '40,39,38',
    );
    driver.press('/agent:test-writer took<30ms !"number 29"\r');
    await driver.waitFor(() => numbersOf(driver, 'Traces: completed')[0] === '28');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('/agent:'));
    driver.press(':window 2m\r');
    await driver.waitFor(/ in 2m/);
    driver.press('[');
    await driver.waitFor(/ in 2m before /);
  });

  it('is paged to its end without a cap, counts all rows, and writes all of them', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-list-'));
    onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
    const driver = await openConsole(database.url, {
      ...size,
      env: { TRACE_CONSOLE_EXPORT_FOLDER: folder },
    });
    driver.press(':traces project:web\r');
    await driver.waitFor(/360 in 1h.*40 failed/);
    for (const [format, key] of [
      ['csv', 'c'],
      ['json', 'j'],
    ] as const) {
      driver.press('e');
      await driver.waitFor('360 rows of Traces');
      driver.press(key);
      await driver.waitFor(new RegExp(`Written: .*traces\\.${format} \\(360 rows, `));
    }
    const text = fs.readFileSync(path.join(folder, 'traces.json'), 'utf8');
    const rows = JSON.parse(text) as { id: string; prompt: string }[];
    expect(new Set(rows.map(({ id }) => id)).size).toBe(360);
    expect(rows.at(-1)?.prompt).toBe(`prompt number ${traces}`);
    const lines = fs.readFileSync(path.join(folder, 'traces.csv'), 'utf8').trimEnd().split('\r\n');
    expect(lines).toHaveLength(1 + 360);
    expect(fs.readdirSync(folder).toSorted()).toEqual(['traces.csv', 'traces.json']);
    await driver.waitFor(/┗.* of 360\b/);
    driver.press('G');
    await chosen(driver, 90 + 200);
    // The page behind is being read.
    const goesOn = setInterval(() => driver.press('G'), 300);
    await chosen(driver, traces).finally(() => clearInterval(goesOn));
  });

  it('leads from one opened row to the next, and from every id to what it names, and back', async () => {
    const driver = await openConsole(database.url, size);
    driver.press(':traces project:billing\r');
    await driver.waitFor(/90 in 1h/);
    driver.press('\r');
    await driver.waitFor(/Trace [0-9a-f]{8}-[^]*prompt number 1\b/);
    driver.press(']');
    await driver.waitFor(/prompt number 2\b/);
    driver.press(']');
    await driver.waitFor(/prompt number 3\b/);
    driver.press('[');
    await driver.waitFor(/prompt number 2\b/);
    driver.press('j\r');
    await driver.waitFor(/trace_id +[0-9a-f-]{36} →/);
    const before = driver.screen()[2];
    driver.press(']');
    await driver.waitFor((lines) => lines[2] !== before && lines.join().includes('trace_id'));
    // From the hook to its session by way of its trace, and to the calls of the hook.
    await open(driver, 'trace_id', /Trace [0-9a-f]{8}-/);
    driver.press('g\r');
    await driver.waitFor(/session_id +[0-9a-f-]{36} →/);
    await open(driver, 'session_id', /┏━ Session [0-9a-f]{8}-/);
    await driver.waitFor('1 of the session');
    driver.press('\x1b');
    await driver.waitFor(/session_id +[0-9a-f-]{36} →/);
    await open(driver, 'project  ', '┏━ Traces of billing');
    driver.press('\x1b');
    await driver.waitFor(/session_id +[0-9a-f-]{36} →/);
    driver.press('q');
    await driver.waitFor(/┏━ Trace [0-9a-f]{8}-/);
    driver.press('q');
    await driver.waitFor(/trace_id +[0-9a-f-]{36} →/);
    driver.press('qq');
    await driver.waitFor(/┏━ Traces \/project:billing/);
    await chosen(driver, 2);
  });
});

/** Puts the cursor on the field of a record, by searching for it, and follows it. */
async function open(driver: TerminalDriver, field: string, shows: string | RegExp): Promise<void> {
  driver.press(`/${field}\r`);
  await driver.waitFor(new RegExp(`/${field} · \\d+ of \\d+`));
  driver.press('\r');
  await driver.waitFor(shows);
}
