import { describe, expect, it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { chooseIndex, startBlockedReindex } from './helpers/blocked-reindex.js';
import { openConsole, refreshUntil, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

describe('reindexing by key', () => {
  it('previews, does nothing on the trigger or Enter, and rebuilds on y', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 20);
    const fileOf = async (index: string) => {
      const { rows } = await database.query<{ file: string }>(
        'SELECT pg_relation_filenode($1::regclass)::text AS file',
        [index],
      );
      return rows[0]?.file;
    };
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    const index = await chooseIndex(driver);
    const before = await fileOf(index);
    driver.press('r');
    await driver.waitFor('r does nothing here');
    driver.press('\r');
    await driver.waitFor((lines) => !lines.join().includes('[ Cancel ]'));
    expect(await fileOf(index)).toBe(before);
    driver.press('r');
    await driver.waitFor('[ Cancel ]');
    // A paste is no answer, whatever its text is, and also where its end is late.
    for (const paste of ['y', 'y\r', 'yes\n', '\r', '\x1b', 'y'.repeat(70_000)]) {
      driver.press(`\x1b[200~${paste}\x1b[201~`);
    }
    driver.press('\x1b[200~y\x1b[20');
    driver.press('1~');
    // Without marks, too much at once to be typed.
    driver.press('y'.repeat(100));
    driver.press('\x1b[B');
    await driver.waitFor('does nothing here');
    expect(driver.text()).toContain('[ Cancel ]');
    expect(await fileOf(index)).toBe(before);
    driver.press('y');
    await driver.waitFor(`Rebuilt ${index}`);
    expect(await fileOf(index)).not.toBe(before);
    driver.press('\r');
    await driver.waitFor((lines) => !lines.join().includes('Rebuilt'));
    // In a line that is typed into it is text.
    driver.press('/');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /') === true);
    driver.press('\x1b[200~y\r\nq\x1b[201~');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /y q█') === true);
    // Its end may be lost on the way: Ctrl-C is still a key.
    driver.press('\x1b[200~never ended');
    driver.press('q');
    const pressed = setInterval(() => driver.press('\x03'), 100);
    const { exitCode } = await driver.waitForExit().finally(() => clearInterval(pressed));
    expect(exitCode).toBe(130);
  });

  it('names who is in the way, asks before quitting, and cancels', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 20);
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    const { holder } = await startBlockedReindex(database, driver);
    driver.press('q');
    await driver.waitFor('An action is running');
    driver.press('\r');
    await driver.waitFor((lines) => !lines.join().includes('An action is running'));
    driver.press('c');
    // What the rebuild has left is dropped, which waits for the same transaction.
    await driver.waitFor('cancelling: ');
    await holder.end();
    await driver.waitFor('Cancelled the rebuild');
    const left = await database.query('SELECT FROM pg_index WHERE NOT indisvalid');
    expect(left.rows).toHaveLength(0);
  });

  it('quits while it goes on on the server, and the next start takes it up again', async () => {
    const database = await createTestDatabase();
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    const { index, holder } = await startBlockedReindex(database, driver);
    driver.press('q');
    await driver.waitFor('l: leave it running on the server');
    driver.press('l');
    expect((await driver.exited).exitCode).toBe(0);
    const building = () =>
      database.query(
        'SELECT FROM pg_stat_progress_create_index WHERE datname = current_database()',
      );
    expect((await building()).rows).toHaveLength(1);

    const next = await openConsole(database.url, { cols: 120, rows: 35 });
    await next.waitFor(`${index} is being rebuilt`);
    next.press('\r3');
    // What needs care comes first.
    next.press('sg');
    await refreshUntil(next, (lines) => /┃ idx_\w+.* is bei/.test(lines[16] ?? ''));
    next.press('r');
    await next.waitFor('[ Cancel ]');
    expect(next.text()).toContain(`Follow the rebuild of ${index}`);
    next.press('y');
    await next.waitFor(/waits for pid \d+/);
    await holder.end();
    await next.waitFor(`The rebuild of ${index} has ended`);
    expect((await database.query('SELECT FROM pg_index WHERE NOT indisvalid')).rows).toEqual([]);
  });

  it('is refused with the reason when the console is read-only', async () => {
    const database = await createTestDatabase();
    const driver = await openConsole(database.url, { args: ['--read-only'] });
    expect(driver.screen()[0]).toContain(' READ-ONLY ');
    driver.press('3r');
    await driver.waitFor('the console is read-only');
    driver.press('a');
    await driver.waitFor('Archive old traces: refused, the console is read-only');
    expect(driver.text()).not.toContain('[ Cancel ]');
    // What it would take is looked up first.
    driver.press('T');
    await driver.waitFor('refused, the console is read-only');
    await driver.waitFor('Enter');
    driver.press('\r');
    await driver.waitFor('4 Table sizes');
  });
});

describe('archiving by key', () => {
  it('moves what is due after y, and says how much it was', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 30);
    await database.query(
      `UPDATE execution_traces SET started_at = started_at - interval '100 days'`,
    );
    for (const table of ['hook_executions', 'endpoint_calls']) {
      await database.query(`UPDATE ${table} SET started_at = started_at - interval '100 days'`);
    }
    await addTraces(database, 4);
    const driver = await openConsole(database.url, { cols: 80, rows: 24 });
    driver.press('a');
    await driver.waitFor('[ Cancel ]');
    expect(driver.text()).toMatch(/Traces due +30 at most/);
    driver.press('y');
    await driver.waitFor('Archived 30 traces');
    const { rows } = await database.query(
      'SELECT (SELECT count(*)::int FROM execution_traces) AS live, (SELECT count(*)::int FROM execution_traces_archive) AS archived',
    );
    expect(rows).toEqual([{ live: 4, archived: 30 }]);
    driver.press('\r');
    await driver.waitFor('4 Table sizes');
    driver.press('a');
    await driver.waitFor('No trace is older than 90 days');
  });
});

describe('the first run', () => {
  it('creates the schema unasked where there is nothing, and opens the panes', async () => {
    const database = await createTestDatabase({ schema: false });
    const driver = startConsole(database.url);
    await driver.waitFor('No trace started in this window', 30_000);
    const { rows } = await database.query(
      `SELECT to_regclass('execution_traces') IS NOT NULL AS there`,
    );
    expect(rows).toEqual([{ there: true }]);
  });

  it('asks where others have tables; without a yes nothing is created', async () => {
    const database = await createTestDatabase({ schema: false });
    await database.query('CREATE TABLE invoices (id int)');
    const asked = startConsole(database.url);
    await asked.waitFor('Create the schema in ', 30_000);
    expect(asked.text()).toContain('y: create this');
    asked.press('\r');
    await asked.waitFor('Nothing was created');
    await asked.waitFor('execution_traces does not exist');
    const { rows } = await database.query(`SELECT to_regclass('execution_traces') AS there`);
    expect(rows).toEqual([{ there: null }]);
    await asked.dispose();

    const agreed = startConsole(database.url);
    await agreed.waitFor('Create the schema in ', 30_000);
    agreed.press('y');
    await agreed.waitFor('No trace started in this window', 30_000);
  });

  it('names a table that is not ours, and opens the panes that can work', async () => {
    const database = await createTestDatabase({ schema: false });
    await database.query('CREATE TABLE hook_executions (id int, colour text)');
    const driver = startConsole(database.url, { cols: 160, rows: 45 });
    await driver.waitFor('hook_executions is not ours', 30_000);
    driver.press('\r');
    await driver.waitFor('hook_executions exists but has no column');
    await driver.waitFor(/4 Table sizes.*\n.*1 table /);
    const { rows } = await database.query(`SELECT to_regclass('execution_traces') AS there`);
    expect(rows).toEqual([{ there: null }]);
  });
});
