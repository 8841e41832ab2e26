import pg from 'pg';
import { expect } from 'vitest';
import type { TestDatabase } from '../../helpers/database.js';
import type { TerminalDriver } from './terminal.js';

/** Opens the preview of the index that is first in its pane. */
export async function chooseIndex(driver: TerminalDriver): Promise<string> {
  driver.press('3');
  await driver.waitFor('┏━ 3 Index usage');
  // The key takes the row under the cursor: it has to be there.
  await driver.waitFor(/\d indexes · /);
  driver.press('r');
  await driver.waitFor('[ Cancel ]');
  // Statistics that came meanwhile may put a vector index first, which is rebuilt by other statements.
  const [, index = ''] = /━ Reindex (\w+) ━/.exec(driver.text()) ?? [];
  expect(index, driver.text()).not.toBe('');
  return index;
}

/** Begins the rebuild of an index, which then waits for another session's transaction: it ends with `holder`. */
export async function startBlockedReindex(
  database: TestDatabase,
  driver: TerminalDriver,
): Promise<{ index: string; holder: pg.Client }> {
  const index = await chooseIndex(driver);
  const { rows } = await database.query<{ table: string }>(
    'SELECT indrelid::regclass::text AS table FROM pg_index WHERE indexrelid = $1::regclass',
    [index],
  );
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query(`BEGIN; LOCK TABLE ${rows[0]?.table ?? ''} IN ROW EXCLUSIVE MODE`);
  driver.press('y');
  await driver.waitFor(/waits for pid \d+/);
  return { index, holder };
}
