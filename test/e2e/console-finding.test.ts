import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole, sizes, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 40);
  await addTraces(database, 5, 'failed');
  await database.query('ANALYZE');
});

it('opens as it was left: panes of the overview, focus, order, groups and time zone', async () => {
  const state = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-layout-'));
  onTestFinished(() => fs.rmSync(state, { recursive: true, force: true }));
  const env = { XDG_STATE_HOME: state };
  const first = await openConsole(database.url, { env });
  first.press('o ');
  await first.waitFor('○ Recent traces');
  first.press('q4s');
  await first.waitFor('┏━ 4 Table sizes');
  expect(first.screen().at(-1)).not.toContain('t group');
  first.press('2');
  await first.waitFor(/┏━ 2 Slow hooks · hooks and tool calls/);
  await first.waitFor((lines) => lines.at(-1)?.includes('t group') === true);
  first.press('t');
  await first.waitFor(/┏━ 2 Slow hooks · hooks only/);
  first.press(':show tools\r');
  await first.waitFor('┏━ 2 Slow hooks · tool calls only');
  await first.waitFor('No hook ran in this window');
  first.press(':show hooks\r4');
  await first.waitFor('┏━ 4 Table sizes');
  first.press(':time utc\r');
  await first.waitFor('Moments are in UTC');
  first.press('q');
  await first.waitForExit();
  const second = startConsole(database.url, { env });
  await second.waitFor(
    (lines) =>
      !lines.join().includes('Recent traces') &&
      /┏━ 4 Table sizes ━+ ↓ /.test(lines.join()) &&
      lines.join().includes('2 Slow hooks · hooks only') &&
      boxOf(lines, '2 Slow hooks').join().includes('policy-guard') &&
      lines[1]?.includes('UTC') === true,
  );
});

it('opens a trace by the beginning of its id, and finds prompts and says how far it looked', async () => {
  const { rows } = await database.query<{ id: string }>(
    `SELECT correlation_id AS id FROM execution_traces WHERE prompt_text = 'prompt number 7'`,
  );
  const id = rows[0]?.id ?? '';
  const driver = await openConsole(database.url);
  driver.press(`:trace ${id.slice(0, 8)}\r`);
  await driver.waitFor(id);
  driver.press('\x1b');
  await driver.waitFor('┏━ 1 Recent traces');
  driver.press(':search NUMBER 7\r');
  await driver.waitFor(/1 among the newest 20,000 prompts at most in 1h/);
  driver.press('\r');
  await driver.waitFor('prompt number 7');
});

it('follows an agent in the activity', async () => {
  const driver = await openConsole(database.url);
  driver.press(':follow agent-test-writer\r');
  await driver.waitFor(/6 Activity \/agent:"agent-test-writer" 225 found/);
  driver.press(':follow 0000\r');
  await driver.waitFor(/6 Activity \/session:"0000" \d+ found/);
});

it('takes marked rows together: copied, written, maintained, wherever they move to', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-marked-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  const env = { TRACE_CONSOLE_EXPORT_FOLDER: folder };
  const driver = await openConsole(database.url, { cols: 120, rows: 35, env });
  const marked = () =>
    boxOf(driver.screen(), '4 Table sizes').flatMap((line) => /^● (\w+)/.exec(line)?.[1] ?? []);
  driver.press('4mm');
  await driver.waitFor('2 marked');
  await driver.waitFor(() => marked().length === 2);
  const names = marked().sort();
  driver.press(':sort table\r');
  await driver.waitFor(/4 Table sizes .* ↑ /);
  driver.press('z');
  await driver.waitFor(() => marked().length === 2);
  expect(marked().sort()).toEqual(names);

  driver.press('y');
  await driver.waitFor('2 ids');
  expect(driver.clipboard.map((text) => text.split('\n').sort())).toEqual([names]);
  driver.press('e');
  await driver.waitFor('2 marked rows of Table sizes');
  driver.press('j');
  await driver.waitFor('Written: ');
  const [file = ''] = fs.readdirSync(folder);
  const written = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as object[];
  expect(written.map((row) => 'table' in row && row.table).sort()).toEqual(names);
  driver.press('u');
  await driver.waitFor('Analyze 2 tables');
  await driver.waitFor('[ Cancel ]');
  driver.press('\x1b');
  await driver.waitFor((lines) => !lines.join().includes('[ Cancel ]'));

  driver.press('/table:archive\r');
  await driver.waitFor('2 marked, 2 not shown');
  for (const key of ['v', 'y', 'e']) {
    driver.press(key);
    await driver.waitFor('The 2 marked rows are filtered out');
    driver.press('g');
    await driver.waitFor((lines) => !lines.join().includes('none is shown'));
  }
});

describe.each(sizes)('finding at $cols×$rows', (size) => {
  it('filters the rows of a pane as it is typed, keeps it for the pane, and clears it', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('3/');
    await driver.waitFor(/ \/█ +Tab completes, Enter keeps it, Esc shows all/);
    driver.press('table:hook !pkey');
    await driver.waitFor(/3 Index usage \/table:hook !pkey \d+ of \d+/);
    const rows = boxOf(driver.screen(), '3 Index usage').filter((line) => line.includes('idx_'));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((line) => line.startsWith('idx_hook'))).toBe(true);
    driver.press('\r');
    driver.press('4');
    await driver.waitFor('┏━ 4 Table sizes');
    driver.press('3/');
    await driver.waitFor(' /table:hook !pkey█');
    driver.press(' nothing=');
    await driver.waitFor('no column nothing');
    driver.press('\r');
    await driver.waitFor('Not yet: no column nothing');
    driver.press('\x15nonsense');
    await driver.waitFor(/None of \d+ rows matches \/nonsense/);
    driver.press('\x1b');
    await driver.waitFor(
      (lines) => !lines.join().includes('/nonsense') && lines.join().includes('idx_'),
    );
  });

  it('keeps the cursor on its row while a filter hides others, and says when it is hidden', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('4s');
    await driver.waitFor('┏━ 4 Table sizes');
    driver.press('/table:hook\r');
    await driver.waitFor('/table:hook 2 of');
    driver.press('j');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('/table:hook'));
    driver.press('/patterns\r');
    await driver.waitFor('/patterns ');
    // The cursor is on a row that is there, and leads back to the one that it was on.
    await driver.waitFor('the row chosen before is filtered out');
    driver.press('y');
    await driver.waitFor('Copied: the row as JSON');
    expect(driver.clipboard.at(-1)).toMatch(/"table": "\w*patterns/);
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('filtered out'));
    driver.press('y');
    await driver.waitFor('Copied: the row as JSON');
    expect(driver.clipboard.at(-1)).toMatch(/"table": "\w*hook/);
  });

  it('marks rows to act on all of them, and scrolls columns that have no room', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('3/idx_hook\rmm');
    await driver.waitFor('2 marked');
    driver.press('r');
    await driver.waitFor('Reindex 2 indexes');
    await driver.waitFor('[ Cancel ]');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('[ Cancel ]'));
    await driver.waitFor('2 marked');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('2 marked'));
    driver.press('8');
    await driver.waitFor(/unknown +5/);
    if (size.cols === 80) {
      driver.press('>');
      await driver.waitFor(/< shows 1/);
      driver.press('<');
      await driver.waitFor((lines) => !lines.join().includes('< shows 1'));
    }
    driver.press('<');
    await driver.waitFor('This is the first column');
  });

  it('has a screen for agents, errors, endpoints, sessions and chains', async () => {
    const driver = await openConsole(database.url, size);
    for (const [name, shows] of [
      ['agents', /agent-test-writer +\d.*89%/],
      ['errors', /unknown +5 +new/],
      ['endpoints', /embedd.* 30ms/],
      ['postgresql', /at work, \d+ idle/],
      ['agent-chains', 'No chain of agents was learned yet'],
    ] as const) {
      driver.press(`:${name}\r`);
      await driver.waitFor(shows);
      const lines = driver.screen();
      expect(lines[2]?.startsWith('┏━ ')).toBe(true);
      expect(lines.at(-2)?.startsWith('┗━')).toBe(true);
    }
  });

  it('has every pane, command and setting behind the colon, completed and found by pieces', async () => {
    const driver = await openConsole(database.url, size);
    driver.press(':');
    await driver.waitFor('┏━ Commands, ');
    driver.press('win 15');
    await driver.waitFor('┃ window 15m');
    driver.press('\r');
    await driver.waitFor('window 15m');
    driver.press(':agch');
    await driver.waitFor('┃ agent-chains');
    driver.press('\t');
    await driver.waitFor(':agent-chains█');
    driver.press('\r');
    await driver.waitFor((lines) => lines[2]?.includes('Agent chains') === true);
    driver.press('\x1b');
    await driver.waitFor('1 Recent traces');
    driver.press('3:sort s');
    await driver.waitFor('┃ sort ');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('┏━ Commands'));
    driver.press(':xyzzy');
    await driver.waitFor('There is no command');
    driver.press('\r');
    await driver.waitFor('There is no command "xyzzy"');
  });
});
