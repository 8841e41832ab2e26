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

test('trace finds a live trace by the first digits of its id, and names those that begin so', async () => {
  const db = await createTestDatabase();
  await addTrace(db, { tree: 'one', age: 1 });
  const { rows } = await db.query<{ id: string }>(
    'SELECT correlation_id AS id FROM execution_traces',
  );
  const id = rows[0]?.id ?? '';
  const run = (digits: string) => runCli(['trace', digits, '--url', db.url]);
  expect((await run(id.slice(0, 10))).stdout).toContain(`trace ${id}, completed`);
  expect((await run('00000000')).exitCode).toBe(1);
  await addTrace(db, { tree: 'another', age: 1 });
  const twin = `${id.slice(0, 35)}${id.endsWith('0') ? '1' : '0'}`;
  await db.query('UPDATE execution_traces SET correlation_id = $1 WHERE correlation_id <> $2', [
    twin,
    id,
  ]);
  const several = await run(id.slice(0, 8));
  expect(several.exitCode).toBe(2);
  for (const one of [id, twin]) expect(several.stderr).toContain(one);
});
