import { expect, it } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole, refreshUntil, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

const minuteMs = 60_000;

/** Some failed traces about three hours ago; the whole minute after the last of them. */
async function addOldTraces(database: TestDatabase, count: number): Promise<Date> {
  await addTraces(database, count, 'failed');
  for (const [table, column] of [
    ['execution_traces', 'started_at'],
    ['hook_executions', 'started_at'],
    ['endpoint_calls', 'started_at'],
    ['agent_routing_decisions', 'created_at'],
  ]) {
    await database.query(`UPDATE ${table} SET ${column} = ${column} - interval '3 hours'`);
  }
  return new Date(Math.ceil((Date.now() - 180 * minuteMs) / minuteMs) * minuteMs);
}

const momentText = (moment: Date) => `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

it('shows a moment in the past, steps from there, and comes back to a tail without loss', async () => {
  const database = await createTestDatabase();
  const old = await addOldTraces(database, 7);
  await addTraces(database, 5);
  const driver = await openConsole(database.url, { cols: 120, rows: 35 });
  await refreshUntil(driver, '5 in 1h');
  driver.press(':time utc\r');
  await driver.waitFor('Moments are in UTC');

  driver.press(`:at ${momentText(old)}\r`);
  await driver.waitFor((lines) => lines[1]?.includes(` at ${momentText(old)} `) === true);
  await driver.waitFor('7 in 1h');
  await driver.waitFor(/6 Activity .* before \d{4}-/);
  expect(boxOf(driver.screen(), '1 Recent traces').join('\n')).toMatch(/failed +7 +100%/);
  expect(driver.text()).toContain('shows now: it cannot look back');
  await addTraces(database, 2);

  driver.press(']');
  const later = new Date(old.getTime() + 60 * minuteMs);
  await driver.waitFor((lines) => lines[1]?.includes(` at ${momentText(later)} `) === true);
  await driver.waitFor('No trace started in this window');
  driver.press('[w');
  await driver.waitFor((lines) => lines[1]?.includes('window 6h') === true);
  await driver.waitFor('7 in 6h');
  driver.press('1\r');
  await driver.waitFor(`7 in 6h before ${momentText(old)}`);
  driver.press('\x1b');
  await driver.waitFor('┏━ 1 Recent traces');

  driver.press(':at 25:00\r');
  await driver.waitFor('There is no 25:00.');
  driver.press('\x1b');
  await driver.waitFor('Now again');
  await driver.waitFor((lines) => lines[1]?.includes(' at ') === false);
  await refreshUntil(driver, '14 in 6h');
  driver.press('6');
  await driver.waitFor(/┏━ 6 Activity ━.* following /);
  // Five events a trace: none is lost, none is there twice.
  await refreshUntil(driver, / of 70 ━/);
  driver.press(']');
  await driver.waitFor('This is now; [ leads back');
});

it('opens on what a link says: pane, window, moment and trace; wrong ones are named before anything opens', async () => {
  const database = await createTestDatabase();
  const old = await addOldTraces(database, 7);
  const { rows } = await database.query<{ id: string }>(
    'SELECT correlation_id AS id FROM execution_traces LIMIT 1',
  );
  const [{ id } = { id: '' }] = rows;
  const link = ['--pane', 'errors', '--window', '6h', '--at', momentText(old)];
  const args = [...link, '--trace', id.slice(0, 13), '--theme', 'none'];
  const driver = startConsole(database.url, { args, cols: 120, rows: 35 });
  await driver.waitFor(`Trace ${id}`, 30_000);
  driver.press('\x1b');
  await driver.waitFor(/┏━ 8 Errors /);
  await driver.waitFor((lines) =>
    /window 6h .*at \d{4}-|at \d{4}-.* window 6h/.test(lines[1] ?? ''),
  );
  driver.press(',');
  await driver.waitFor(':sort █');
  driver.press('hooks\r');
  await driver.waitFor(/8 Errors .*↓ hooks/);
  for (const [flag, value, hint] of [
    ['--pane', 'erors', 'Did you mean errors?'],
    ['--theme', 'drak', 'Did you mean dark?'],
    ['--trace', 'xyz', 'hexadecimal digits'],
    ['--window', 'long', '--window'],
  ] as const) {
    const wrong = startConsole(database.url, { args: [flag, value], cols: 120, rows: 35 });
    expect((await wrong.waitForExit()).exitCode, flag).toBe(2);
    expect(wrong.text()).toContain(hint);
  }
});

it('status prints the panes of a moment in the past, for people and for programs', async () => {
  const database = await createTestDatabase();
  const old = await addOldTraces(database, 7);
  await addTraces(database, 5);
  const at = ['status', '--url', database.url, '--at', momentText(old)];
  const text = await runCli([...at, '--pane', 'recent-traces', '--pane', 'table-sizes']);
  expect(text.stdout).toMatch(/, at \d{4}-\d\d-\d\d \d\d:\d\d local, window 1h/);
  expect(text.stdout).toContain('7 in 1h');
  expect(text.stdout).toContain('note: shows now: it cannot look back');
  const json = await runCli([...at, '--json', '--pane', 'recent-traces', '--pane', 'activity']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    at: old.toISOString(),
    panes: {
      'recent-traces': { asOf: old.toISOString(), rows: [{ status: 'failed', count: 7 }] },
      activity: { rows: { length: 35 } },
    },
  });
  const wrong = await runCli(['status', '--url', database.url, '--at', 'soon']);
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stderr).toContain('--at: "soon" is no moment.');
  expect(wrong.stderr).toContain('2h ago');
});
