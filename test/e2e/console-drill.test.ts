import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openConsole, sizes } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 6);
  await addTraces(database, 3, 'failed');
  await database.query(`
    UPDATE execution_traces SET error_type = 'ToolFailed', error_message = 'exit code 2' WHERE status = 'failed';
    UPDATE hook_executions SET status = 'failed', error_type = 'Denied', error_message = 'not allowed here', duration_ms = 900
    WHERE tool_name = 'Bash' AND trace_id IN (SELECT id FROM execution_traces WHERE status = 'failed')`);
});

describe.each(sizes)('drilling down at $cols×$rows', (size) => {
  it('leads from a status over a trace and its failing hook to the hook in full, and step by step back', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('1');
    await driver.waitFor('┏━ 1 Recent traces');
    driver.press('j');
    driver.press('\r');
    await driver.waitFor('Traces: failed');
    await driver.waitFor('ToolFailed: exit');
    driver.press('j\r');
    await driver.waitFor(/Trace [0-9a-f]{8}-/);
    await driver.waitFor('failed: PreToolUse policy-guard (Bash): Denied: not allowed here');
    driver.press('f');
    await driver.waitFor(() => chosenText(driver).includes('policy-guard (Bash)'));
    driver.press('-');
    await driver.waitFor('Kept: this turn was bad.');
    driver.press('\r');
    driver.press('G');
    await driver.waitFor(/error_message +not allowed here/);
    driver.press('\x1b');
    await driver.waitFor(/Trace [0-9a-f]{8}-/);
    expect(chosenText(driver)).toContain('policy-guard (Bash)');
    driver.press('\x1b');
    await driver.waitFor('Traces: failed');
    expect(chosenRow(driver)).toBe(5 + 1);
    driver.press('\x1b');
    await driver.waitFor('┏━ 1 Recent traces');
    expect(chosenText(driver)).toContain('failed');
  });

  it('folds, sorts by the slowest and opens an event of the activity in its trace', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('6k');
    await driver.waitFor('┏━ 6 Activity');
    driver.press('\r');
    await driver.waitFor(/Trace [0-9a-f]{8}-/);
    expect(chosenText(driver)).toMatch(/policy-guard|user_prompt|agent-test-writer|embedding/);
    driver.press('g');
    driver.press('o');
    await driver.waitFor(/▸ .*below/);
    driver.press('l');
    await driver.waitFor('▾ user_prompt');
    driver.press('s');
    await driver.waitFor('slowest first');
    driver.press('o');
    await driver.waitFor('s shows the tree');
    driver.press('s');
    await driver.waitFor('├─');
  });

  function chosenRow(driver: Awaited<ReturnType<typeof openConsole>>): number {
    for (let row = 2; row < size.rows; row++) if (driver.cell(2, row)?.isInverse()) return row;
    return -1;
  }

  function chosenText(driver: Awaited<ReturnType<typeof openConsole>>): string {
    for (let row = 2; row < size.rows; row++) {
      for (let column = 2; column < size.cols; column++) {
        if (driver.cell(column, row)?.isInverse()) return driver.screen()[row]?.slice(column) ?? '';
      }
    }
    return '';
  }
});

it('searches a row in full, whatever the case, from match to match and round the end', async () => {
  const driver = await openConsole(database.url, { cols: 100, rows: 24 });
  driver.press('1j\r\r');
  await driver.waitFor(/Trace [0-9a-f]{8}-/);
  driver.press('/DENIED');
  await driver.waitFor('/DENIED · 1 of 1');
  driver.press('\r\r');
  await driver.waitFor(/error_message +not allowed here/);
  driver.press('/Denied');
  await driver.waitFor(/\/Denied · 1 of \d/);
  driver.press('\x15_id');
  await driver.waitFor(/\/_id · 1 of (\d+)/);
  const count = Number(/_id · 1 of (\d+)/.exec(driver.text())?.[1]);
  expect(count).toBeGreaterThan(2);
  driver.press('\rN');
  await driver.waitFor(`/_id · ${count} of ${count}`);
  driver.press('nn');
  await driver.waitFor(`/_id · 2 of ${count}`);
  driver.press('/nowhere');
  await driver.waitFor('/nowhere · not found');
  driver.press('\rn');
  await driver.waitFor('Not found: nowhere');
  driver.press('go');
  await driver.waitFor('This value is shown whole');
  driver.press('\x1b');
  await driver.waitFor((lines) => !lines.join().includes('/nowhere'));
  expect(driver.text()).toContain('error_message');
  driver.press('\x1b');
  await driver.waitFor('/DENIED · 1 of 1');
});

it('copies the id of a trace and writes it to a new file', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-export-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const driver = await openConsole(database.url, {
    env: { TRACE_CONSOLE_EXPORT_FOLDER: folder },
  });
  driver.press('1\r\r');
  await driver.waitFor(/Trace [0-9a-f]{8}-/);
  const id = /Trace ([0-9a-f-]{36})/.exec(driver.text())?.[1] ?? '';
  driver.press('y');
  await driver.waitFor(`Copied: the correlation id ${id}`);
  expect(driver.clipboard).toEqual([id]);
  driver.press('e');
  await driver.waitFor('Write to a file');
  driver.press('o');
  await driver.waitFor('Written: ');
  expect(fs.readdirSync(folder)).toEqual([`trace-${id}.otlp.json`]);
  driver.press('\x1b\x1b');
  await driver.waitFor('┏━ 1 Recent traces');
  driver.press('e');
  await driver.waitFor('rows of Recent traces');
  driver.press('c');
  await driver.waitFor('recent-traces.csv');
  expect(fs.readFileSync(path.join(folder, 'recent-traces.csv'), 'utf8')).toMatch(
    /^status,count,share,countBefore,shareBefore\r\ncompleted,6,/,
  );
});

it('a trace that runs is looked at again until it has ended', async () => {
  const db = await createTestDatabase();
  await addTraces(db, 1, 'in_progress');
  const driver = await openConsole(db.url);
  driver.press('1');
  driver.press('\r');
  await driver.waitFor('Traces: in_progress');
  driver.press('\r');
  await driver.waitFor('1 running');
  await db.query(
    `UPDATE execution_traces SET status = 'failed', error_message = 'gave up at last', completed_at = now()`,
  );
  await driver.waitFor('1 failed', 45_000);
  await driver.waitFor('gave up at last');
});
