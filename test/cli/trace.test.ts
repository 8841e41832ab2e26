import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { addTrace } from '../schema/helpers/trace-rows.js';

test('trace prints the tree of a trace as a table, as JSON and as OTLP', async () => {
  const db = await createTestDatabase();
  await addTrace(db, { tree: 'one', age: 1 });
  const { rows } = await db.query<{ id: string }>(
    'SELECT correlation_id AS id FROM execution_traces',
  );
  const id = rows[0]?.id ?? '';
  const run = (...args: string[]) => runCli(['trace', ...args, '--url', db.url]);
  const table = await run(id);
  expect(table.exitCode).toBe(0);
  expect(table.stdout).toContain(`trace ${id}, completed, 5 events`);
  expect(table.stdout).toMatch(/\+20ms +5ms .* PreToolUse hook-1/);
  const json = JSON.parse((await run(id, '--json')).stdout) as { events: object[] };
  expect(json.events).toHaveLength(5);
  const otlp = JSON.parse((await run(id, '--otlp')).stdout) as { resourceSpans: object[] };
  expect(otlp.resourceSpans).toHaveLength(1);
  expect((await run('00000000-0000-4000-8000-000000000000')).exitCode).toBe(1);
  expect((await run('nonsense')).exitCode).toBe(2);
  expect((await run()).exitCode).toBe(2);
});
