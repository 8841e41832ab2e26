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

test('traces lists what all conditions hold for, counts all of it, and refuses what it cannot read', async () => {
  const db = await createTestDatabase();
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, project, status, started_at)
     SELECT id, id, md5('s' || i % 2)::uuid, 'user_prompt', CASE WHEN i % 3 = 0 THEN 'billing' ELSE 'web' END,
       CASE WHEN i % 2 = 0 THEN 'failed' ELSE 'completed' END, now() - i * interval '1 s'
     FROM (SELECT i, gen_random_uuid() AS id FROM generate_series(1, 30) AS i) AS made`,
  );
  const run = (...args: string[]) => runCli(['traces', ...args, '--url', db.url]);
  const json = async (...args: string[]) =>
    JSON.parse((await run(...args, '--json')).stdout) as Listed;
  type Listed = { total: number; failed: number; traces: { status: string; project: string }[] };
  const failed = await json('--status', 'failed', '--project', 'billing', '--limit', '2');
  expect(failed).toMatchObject({ total: 5, failed: 5 });
  expect(failed.traces).toEqual(
    Array(2).fill(expect.objectContaining({ status: 'failed', project: 'billing' })),
  );
  const { rows } = await db.query<{ id: string }>(`SELECT md5('s1') AS id`);
  expect(await json('--session', rows[0]?.id.slice(0, 6) ?? '')).toMatchObject({
    total: 15,
    failed: 0,
  });
  const table = await run('--where', '!project:billing', '--limit', '3');
  expect(table.stdout).toContain('20 traces, 10 failed; the newest 3:');
  const misspelt = await run('--project', 'biling');
  expect(misspelt.stdout).toContain('there is no project "biling"; did you mean billing?');
  expect(await json('--where', 'project:biling')).toMatchObject({
    total: 0,
    notes: ['there is no project "biling"; did you mean billing?'],
  });
  await db.query(
    `INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, error_type, error_message)
     SELECT id, 'anthropic', '/v1/messages', 'POST', 529, 'overloaded_error', 'Overloaded' FROM execution_traces
     WHERE status = 'completed' LIMIT 1`,
  );
  expect(await json('--where', 'failure:overloaded')).toMatchObject({ total: 1, failed: 0 });
  const unknown = await run('--where', 'colour:red');
  expect(unknown.exitCode).toBe(2);
  expect(unknown.stderr).toContain('no column colour');
});

test('an id that does not exist is the same everywhere: exit code 1, `not_found`, and the nearest that exists', async () => {
  const db = await createTestDatabase();
  const session = 'd3740000-0000-4000-8000-000000000000';
  const trace = '73ba1111-0000-4000-8000-000000000000';
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     VALUES ($1, $1, $2, 'user_prompt', 'completed', now() - interval '3 days')`,
    [trace, session],
  );
  for (const [args, near] of [
    [['traces', '--session', 'd374000f'], session],
    [['traces', '--session', 'd374000f', '--status', 'failed'], session],
    [['export', 'otlp', '--session', 'd3740000-0000-4000-8000-00000000000f'], session],
    [['traces', '--like', '73ba1112'], trace],
    [['traces', '--like', '73ba1111-0000-4000-8000-00000000000f'], trace],
    [['trace', '73bb1111'], trace],
    [['trace', '73ba1111-0000-4000-8000-00000000000f'], trace],
    [['feedback', '73ba1112', 'good'], trace],
    [['trace', '00000000'], undefined],
  ] as const) {
    const { exitCode, stdout } = await runCli([...args, '--json', '--url', db.url]);
    const { error } = JSON.parse(stdout) as { error: { code: string } };
    expect([exitCode, error.code], args.join(' ')).toEqual([1, 'not_found']);
    if (near === undefined) expect(stdout).not.toContain('id you mean');
    else expect(stdout, args.join(' ')).toContain(`id you mean ${near}?`);
  }
  // A session that is there, of which nothing matches, is no mistake.
  expect(
    (await runCli(['traces', '--session', 'd374', '--status', 'failed', '--url', db.url])).exitCode,
  ).toBe(0);
  const list = await runCli(['traces', '--where', 'session:d375', '--url', db.url]);
  expect(list.stdout).toContain(`there is no session "d375"; did you mean ${session}?`);
});

test('prompts lists the groups that fail most, a table and JSON, by what is asked, and refuses another group', async () => {
  const db = await createTestDatabase();
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, project, status, prompt_text, error_type, started_at)
     SELECT id, id, gen_random_uuid(), 'user_prompt', 'billing',
       CASE WHEN i <= 9 THEN 'failed' ELSE 'completed' END,
       CASE WHEN i <= 9 THEN 'roll out host ' ELSE 'explain file ' END || i, CASE WHEN i <= 9 THEN 'NoQuota' END,
       now() - i * interval '1 s'
     FROM (SELECT i, gen_random_uuid() AS id FROM generate_series(1, 30) AS i) AS made`,
  );
  const run = (...args: string[]) => runCli(['prompts', ...args, '--url', db.url]);
  const { stdout } = await run('--json');
  const expected = [
    { group: 'roll out host', prompts: 9, failures: 9, rate: 1, error: 'NoQuota' },
    { group: 'explain file', prompts: 21, failures: 0, rate: 0, error: null },
  ];
  expect(JSON.parse(stdout)).toMatchObject({
    by: 'similar',
    total: 2,
    failed: 1,
    groups: expected,
  });
  const byProject = await run('--by', 'project', '--where', 'failed>5', '--json');
  expect(JSON.parse(byProject.stdout)).toMatchObject({
    groups: [{ group: 'billing', failures: 9 }],
  });
  const table = await run('--limit', '1');
  expect(table.stdout).toContain('2 groups, 1 with failures; the first 1:');
  expect(table.stdout).toMatch(/roll out host +9 +9 +100%/);
  const wrong = await run('--by', 'colour');
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stderr).toContain('similar, session, intent, project, agent');
});
