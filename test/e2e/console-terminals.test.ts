import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openConsole, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 20);
});

describe('a terminal that sends keys by their codes', () => {
  it.each([
    ['kitty', { help: '\x1b[63;2u', escape: '\x1b[27u', quit: '\x1b[113;1:1u' }, 0],
    ['kitty', { help: '\x1b[47:63;2u', escape: '\x1b[27;1u', quit: '\x1b[99;5u' }, 130],
    ['xterm', { help: '\x1b[27;2;63~', escape: '\x1b[27;1;27~', quit: '\x1b[27;5;99~' }, 130],
  ])('as %s does is understood: %j', async (_name, keys, exitCode) => {
    const driver = await openConsole(database.url);
    driver.press(keys.help);
    await driver.waitFor('┏━ Keys');
    driver.press(keys.escape);
    await driver.waitFor(/┏━ 1 Recent/);
    driver.press(keys.quit);
    expect((await driver.waitForExit()).exitCode).toBe(exitCode);
  });

  it('may be far away: an arrow that comes in parts moves, and closes nothing', async () => {
    const driver = await openConsole(database.url);
    driver.press('?');
    await driver.waitFor('┏━ Keys');
    driver.press('\x1b[');
    await sleep(300);
    driver.press('B');
    await driver.waitFor('lines 2–');
    expect(driver.text()).toContain('┏━ Keys');
  });
});

describe('a terminal that cannot be painted', () => {
  it('gets one status, with TERM=dumb', async () => {
    const driver = startConsole(database.url, { env: { TERM: 'dumb' } });
    expect((await driver.waitForExit()).exitCode).toBe(0);
    expect(driver.text()).toContain('ACTIVITY');
    expect(driver.text()).not.toMatch(/[┏│]/);
    expect(driver.emulator.buffer.active.type).toBe('normal');
  });

  it('is told so when the console itself is asked for', async () => {
    const driver = startConsole(database.url, { env: { TERM: 'dumb' }, args: ['console'] });
    expect((await driver.waitForExit()).exitCode).toBe(2);
    expect(driver.text()).toContain('This terminal cannot be painted (TERM=dumb).');
  });
});

describe('--screen-reader', () => {
  it.each([
    ['the flag', { args: ['--screen-reader'], env: { TERM: 'dumb' } }],
    ['the environment', { env: { TRACE_CONSOLE_SCREEN_READER: '1' } }],
  ])('tells changes in plain lines, and takes keys, by %s', async (_name, options) => {
    const driver = startConsole(database.url, { cols: 160, rows: 200, ...options });
    await driver.waitFor(/^1 Recent traces\n.*\nstatus, traces/m);
    driver.press('2');
    await driver.waitFor(/^2 Slow hooks\n[^]*^hook, tool, calls.*\npolicy-guard, Bash/m);
    driver.press('?');
    await driver.waitFor(/^Keys$/m);
    driver.press('\x1b');
    await driver.waitFor(/^2 Slow hooks\n[^]*^Keys\n[^]*^2 Slow hooks$/m);
    expect(driver.text()).not.toMatch(/[┏┃│─█]/);
    expect(driver.buffer).toBe('normal');
    expect(driver.isCursorVisible).toBe(true);
    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
    expect(driver.text()).toContain('Keys');
  });
});
