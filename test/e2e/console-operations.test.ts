import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { consoleFiles } from '../../src/deploy/schema-files.js';
import { createTestDatabase } from '../helpers/database.js';
import { openConsole, sizes } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

const keptSizes = consoleFiles.find(({ name }) => name.includes('relation_sizes'))?.sql ?? '';

describe('the database itself', () => {
  it('tells which indexes can be dropped, and copies the statement that does it', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5);
    await database.query('CREATE INDEX "by ""service""" ON endpoint_calls (service_name); ANALYZE');
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    await driver.waitFor('1 unused (');
    driver.press('3s');
    await driver.waitFor(/┏━ 3 Index usage .*needs care/);
    driver.press('\r');
    await driver.waitFor('Index by "service"');
    await driver.waitFor('is the beginning of idx_endpoint_calls_service');
    driver.press('jy');
    await driver.waitFor('Copied: ');
    const statement = 'DROP INDEX CONCURRENTLY "public"."by ""service""";';
    expect(driver.clipboard).toEqual([statement]);
    await database.query(statement);
    driver.press('\x1b');
    await driver.waitFor(/(none unused|too early to say)/);
  });

  it('tells how large a table will be in 30 days, once two days are kept', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5);
    await database.query(`CREATE SCHEMA trace_console; ${keptSizes}`);
    await database.query(
      `INSERT INTO trace_console.relation_sizes
       SELECT 'public', 'hook_executions', 'r', (at AT TIME ZONE 'UTC')::date, at,
         CASE day WHEN 2 THEN 0 ELSE 2 * 1048576 END
       FROM generate_series(0, 2, 2) AS day, LATERAL (SELECT now() - day * interval '1 day' AS at) AS taken`,
    );
    for (const { cols, rows } of sizes.slice(1)) {
      const driver = await openConsole(database.url, { cols, rows });
      driver.press('4');
      await driver.waitFor(/in 30 days · \+1\.0 MB a day over 2d/);
      driver.press('z');
      await driver.waitFor(/hook_executions .* 30 MB/);
    }
  });

  it('opens exactly the stuck traces that are counted, and closes exactly those after a preview', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 3, 'in_progress');
    await database.query(
      `UPDATE execution_traces SET started_at = started_at - interval '2 hours' WHERE prompt_text <> 'prompt number 3'`,
    );
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    await driver.waitFor(/2 stuck over 30m/);
    driver.press('K');
    await driver.waitFor(/┏━ Stuck traces ━/);
    await driver.waitFor(/2 in progress for over 30m/);
    const listed = driver.screen().filter((line) => line.includes('prompt number'));
    expect(listed).toHaveLength(2);
    expect(driver.screen().at(-1)).toContain('T close all');
    driver.press('T');
    await driver.waitFor('2 in progress for more than 30 minutes');
    // Stuck since the preview: nobody has seen it there.
    await database.query(
      `UPDATE execution_traces SET started_at = now() - interval '30 minutes' WHERE prompt_text = 'prompt number 3'`,
    );
    await driver.waitFor('[ Cancel ]');
    driver.press('y');
    await driver.waitFor('Closed 2 stuck traces.');
    const { rows } = await database.query(
      `SELECT status, count(*)::int AS n FROM execution_traces GROUP BY 1 ORDER BY 1`,
    );
    expect(rows).toEqual([
      { status: 'in_progress', n: 1 },
      { status: 'timeout', n: 2 },
    ]);
  });

  it('tells who blocks whom, and ends the one that was chosen', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5);
    const connect = async (name: string) => {
      const client = new pg.Client({ connectionString: database.url, application_name: name });
      client.on('error', () => undefined);
      await client.connect();
      onTestFinished(() => client.end().catch(() => undefined));
      return client;
    };
    const holder = await connect('billing');
    const waiter = await connect('reports');
    const driver = await openConsole(database.url, { cols: 120, rows: 35 });
    await holder.query('BEGIN; LOCK TABLE error_patterns IN ROW EXCLUSIVE MODE');
    const waits = waiter
      .query('BEGIN; LOCK TABLE error_patterns IN ACCESS EXCLUSIVE MODE; COMMIT')
      .then(() => 'got it', String);
    driver.press(':postgresql\r');
    await driver.waitFor(/┏━ PostgreSQL /);
    await driver.waitFor((lines) => {
      const at = lines.findIndex((line) => line.includes(' ● ') && line.includes('idle in'));
      return at > 0 && (lines[at + 1] ?? '').includes(' └─ ');
    });
    expect(driver.screen().at(-1)).toContain('Z terminate');
    driver.press('Z');
    await driver.waitFor(/Terminate the backend of pid \d+/);
    await driver.waitFor('(billing)');
    await driver.waitFor('[ Cancel ]');
    driver.press('y');
    await driver.waitFor(/Terminated pid \d+\./);
    expect(await waits).toBe('got it');
    await expect(holder.query('SELECT 1')).rejects.toThrow();
  });
});
