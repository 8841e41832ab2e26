import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { boxOf, openConsole, refreshUntil } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import { showsWhatIsThere } from './helpers/plain-figures.js';

describe('the console while the database works', () => {
  it('shows new rows in the panes and in the tail, and holds the tail when asked', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 20);
    const driver = await openConsole(database.url, { cols: 200, rows: 60 });
    await refreshUntil(driver, '20 in 1h');
    await addTraces(database, 10);
    await refreshUntil(driver, '30 in 1h');
    await refreshUntil(driver, '60 calls in 1h');
    expect(boxOf(driver.screen(), '6 Activity').join('\n')).toContain('policy-guard');
    // Each pane is asked for itself: the tail is held only when it has all there is.
    await refreshUntil(driver, / of 150 ─┘/);
    driver.press('6');
    await driver.waitFor('┏━ 6 Activity');
    driver.press('kkk');
    await driver.waitFor(/┏━ 6 Activity ━.* held /);
    await addTraces(database, 2);
    await refreshUntil(driver, /┏━ 6 Activity ━.* 10 new ↓ /);
    driver.press('G');
    await driver.waitFor(/┏━ 6 Activity ━.* following /);
  });

  it('keeps the cursor on its row while rows change places, and says when it is gone', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5, 'failed');
    await addTraces(database, 3, 'timeout');
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    driver.press('j');
    const chosen = () => {
      for (let row = 3; row < 12; row++) {
        if (driver.cell(2, row)?.isInverse()) return driver.screen()[row]?.slice(2, 10).trim();
      }
      return undefined;
    };
    await driver.waitFor(() => chosen() === 'timeout');
    await addTraces(database, 10, 'timeout');
    await refreshUntil(driver, /timeout +13 /);
    expect(chosen()).toBe('timeout');
    await database.query(`DELETE FROM execution_traces WHERE status = 'timeout'`);
    driver.press('E');
    await refreshUntil(driver, 'the chosen row is gone');
    expect(chosen()).toBeUndefined();
    driver.press('\r');
    await driver.waitFor('The chosen row is gone; move the cursor to another');
  });

  it('names who holds a lock on a pane’s table within its time-out, and the rest goes on', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 8);
    const driver = await openConsole(database.url, { cols: 200, rows: 60 });
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE hook_executions IN ACCESS EXCLUSIVE MODE');
    await refreshUntil(driver, 'hook_executions is locked by pid');
    await driver.waitFor(/2 Slow hooks [^┐]*─ as of \d+s ago/);
    expect(boxOf(driver.screen(), '2 Slow hooks').join('\n')).toContain('policy-guard');
    await database.query(`UPDATE execution_traces SET status = 'failed'`);
    await refreshUntil(driver, '100% failed');
    await holder.end();
    await refreshUntil(driver, (lines) => !lines.join().includes('is locked by pid'));
  });

  it('opens a list that was asked for during a lock as soon as the lock is gone', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 8);
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE execution_traces IN ACCESS EXCLUSIVE MODE');
    driver.press('\r');
    await driver.waitFor('A lock was not to be had in time');
    await holder.end();
    await driver.waitFor(/completed .*\n.*completed /);
  });
});

describe('the console beside live traffic', () => {
  it('moves with it, and in the end shows what plain SQL counts', async () => {
    const database = await createTestDatabase();
    const driver = await openConsole(database.url, { cols: 200, rows: 60 });
    const traffic = ['--rate', '50', '--seconds', '5', '--seed', '7'];
    const demo = runCli(['demo', '--url', database.url, '--yes', ...traffic]);
    const counts = new Set<string>();
    const newest = new Set<string>();
    await refreshUntil(driver, (lines) => {
      counts.add(/(\S+) in 1h/.exec(lines.join('\n'))?.[1] ?? '');
      newest.add(boxOf(lines, '6 Activity').at(-1) ?? '');
      return counts.size > 3 && newest.size > 3;
    });
    expect((await demo).exitCode).toBe(0);

    await showsWhatIsThere(driver, (sql) => database.query(sql));
  });
});

describe('a server that goes away', () => {
  it('is waited for: the header says since when, panes show their age, then all goes on', async () => {
    const server = await startPrivateServer();
    const url = await server.createDatabase('traces');
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await addTraces(client, 12);
    await client.end();
    const driver = await openConsole(url, { cols: 120, rows: 35 });
    await refreshUntil(driver, '12 in 1h');
    await server.stop();
    await driver.waitFor(/no connection for \d+s/);
    await driver.waitFor(/1 Recent traces ━+ as of \d+s ago/);
    await driver.waitFor(/next try in \d+s/);
    expect(boxOf(driver.screen(), '1 Recent traces').join('\n')).toContain('12 in 1h');
    await server.start();
    await refreshUntil(driver, '● connected');
    await refreshUntil(driver, (lines) => !lines.join('\n').includes('as of'));
    const again = new pg.Client({ connectionString: url });
    await again.connect();
    await addTraces(again, 3);
    await again.end();
    await refreshUntil(driver, '15 in 1h');
    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
  });
});
