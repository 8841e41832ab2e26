import { expect, it } from 'vitest';
import { exportDatabase, copyRows } from '../../../src/maintenance/embedded/copy-out.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase } from '../../helpers/database.js';
import { addTrace } from '../../schema/helpers/trace-rows.js';

it("copies JSON's null as such, and a missing value as missing", async () => {
  const [source, target, loaded] = [
    await createTestDatabase(),
    await createTestDatabase(),
    await createTestDatabase(),
  ];
  await addTrace(source, { tree: 'one' });
  await source.query(`UPDATE execution_traces SET context = 'null'`);
  await source.query(`UPDATE hook_executions SET input_data = 'null', rag_results = NULL`);
  const [from, to] = [await openConsole(source.url), await openConsole(target.url)];
  await copyRows(from, to);
  let sql = '';
  await exportDatabase(from, (text) => {
    sql += text;
    return Promise.resolve();
  });
  await loaded.query(sql);
  for (const copy of [target, loaded]) {
    for (const table of ['execution_traces', 'hook_executions']) {
      const content = `SELECT array_agg(t::text ORDER BY id) AS rows FROM ${table} AS t`;
      expect((await copy.query(content)).rows).toEqual((await source.query(content)).rows);
    }
  }
  await from.close();
  await to.close();
});
