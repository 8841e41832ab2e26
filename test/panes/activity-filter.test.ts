import { expect, test } from 'vitest';
import { activity, activityKept } from '../../src/panes/activity.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { connect, ids, insertTrace } from './activity-events.js';
import { openDatabase, readFresh, readWith } from './open.js';

/** Two traces of two agents, one of them after the newest thousand events, each with hooks and a call. */
async function addFiltered(database: TestDatabase): Promise<void> {
  await database.query(
    `WITH made AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, project, user_id, source, status, started_at, completed_at, prompt_text)
       SELECT gen_random_uuid(), gen_random_uuid(), ('5e551011-0000-4000-8000-00000000000' || n)::uuid, 'project-' || n,
         'user-' || n, 'test', 'completed', now() - ago, now() - ago, 'prompt 100% of ' || n
       FROM (VALUES (1, interval '20 minutes'), (2, interval '10 seconds')) AS traces (n, ago)
       RETURNING id, started_at, project),
     decided AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
       SELECT id, replace(project, 'project', 'agent'), 0.9, 'explicit', started_at FROM made),
     called AS (
       INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, duration_ms, started_at)
       SELECT id, replace(project, 'project', 'service'), 'https://x/', 'GET', 503, 3000, started_at FROM made)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, duration_ms, started_at, completed_at)
     SELECT id, 'PreToolUse', 'guard', tool, status, 40, started_at, started_at
     FROM made, (VALUES ('Bash', 'failed'), ('Bash', 'completed'), ('Edit', 'failed')) AS used (tool, status)`,
  );
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, duration_ms, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'noise', 'completed', 5, now() - i * interval '10 ms'
     FROM generate_series(1, $1::int) AS i`,
    [activityKept + 200],
  );
}

test('asks the server for what a filter chooses, over the window, and names what does not exist', async () => {
  const database = await createTestDatabase();
  await addFiltered(database);
  const console_ = await openDatabase(database.url);
  const found = async (filter: string, windowMs = 3_600_000) => {
    const { rows, notes } = await readFresh(console_, activity, { filter, windowMs });
    return { kinds: rows.map(({ kind }) => kind), notes };
  };
  const counts = async (filter: string, windowMs?: number) =>
    (await found(filter, windowMs)).kinds.length;

  expect((await found('agent:agent-1')).kinds.sort()).toEqual([
    'call',
    'hook',
    'hook',
    'hook',
    'routing',
    'trace',
  ]);
  expect(await counts('agent:agent-1', 600_000)).toBe(0);
  expect((await found('kind:hook status:failed tool:Bash')).kinds).toEqual(['hook', 'hook']);
  expect(await counts('kind:hook tool:bash agent:agent-2')).toBe(2);
  expect(await counts('!kind:hook agent:agent')).toBe(6);
  expect(await counts('project=PROJECT-1')).toBe(6);
  expect(await counts('user:user-2 !status:failed')).toBe(2 + 1);
  expect(await counts('session:5e551011 kind:trace')).toBe(2);
  expect(await counts('service:service-1')).toBe(1);
  expect(await counts('took>2s')).toBe(2);
  expect(await counts('status:failed kind:call')).toBe(2);
  expect(await counts('hook:gua')).toBe(6);
  expect(await counts('100%')).toBe(2);
  expect(await counts('100_')).toBe(0);
  expect(await counts('agent-2')).toBe(6);
  expect(await counts('time>5m !noise')).toBe(6);
  expect(await counts('noise')).toBe(activityKept);
  expect((await found('noise')).notes).toEqual(['the newest 1,000']);
  expect(await found('agent:agnet-1')).toEqual({
    kinds: [],
    notes: ['there is no agent "agnet-1"; did you mean agent-1?'],
  });
  expect((await found('session:5e551012')).notes).toEqual([
    expect.stringMatching(/^there is no session "5e551012"; did you mean 5e55101\d-/),
  ]);
  expect((await found('tool:Bsh')).notes).toEqual(['there is no tool "Bsh"; did you mean Bash?']);
});

test('the tail of a filter goes on: new events come in, and what no longer matches goes', async () => {
  const database = await createTestDatabase();
  await addFiltered(database);
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const read = () => readWith(console_, activity, reader, { filter: 'status:in_progress' });
  expect((await read()).rows).toEqual([]);
  const id = await insertTrace(database.pool, '1 second', 'in_progress');
  expect(await read()).toMatchObject({
    rows: [{ id, status: 'in_progress' }],
    extras: { seen: 1 },
  });
  await database.query(`UPDATE execution_traces SET status = 'completed' WHERE id = $1`, [id]);
  expect((await read()).rows).toEqual([]);
  const late = await insertTrace(database.pool, '50 minutes', 'in_progress');
  // On a slow machine the whole window is not looked at again at each reading.
  await expect.poll(async () => ids((await read()).rows), { timeout: 30_000 }).toEqual([late]);
});

test('a filter of a moment in the past chooses of the window before it', async () => {
  const database = await createTestDatabase();
  await addFiltered(database);
  const options = { filter: 'agent:agent', untilMs: Date.now() - 300_000, windowMs: 3_600_000 };
  const { rows } = await readFresh(await openDatabase(database.url), activity, options);
  expect(rows).toHaveLength(6);
});

test('a filter keeps the events of a table that is locked, and says of when they are', async () => {
  const database = await createTestDatabase();
  await addFiltered(database);
  const console_ = await openDatabase(database.url);
  const filter = 'tool:Bash status:failed';
  for (const untilMs of [Date.now(), undefined]) {
    const past = untilMs === undefined ? {} : { untilMs };
    const reader = activity.createReader();
    const read = () => readWith(console_, activity, reader, { filter, ...past });
    const before = await read();
    expect(before.rows).toHaveLength(2);
    const locker = await connect(database);
    try {
      const { rows: self } = await locker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await locker.query('BEGIN; LOCK TABLE hook_executions IN ACCESS EXCLUSIVE MODE');
      const locked = await read();
      expect(ids(locked.rows)).toEqual(ids(before.rows));
      expect(locked.notes.join()).toMatch(
        new RegExp(
          `hook_executions is locked by pid ${self[0]?.pid ?? 0}: its events as of \\d\\d:\\d\\d:\\d\\d`,
        ),
      );
      await locker.query(`UPDATE hook_executions SET status = 'completed'`);
      await locker.query(untilMs === undefined ? 'COMMIT' : 'ROLLBACK');
    } finally {
      await locker.end();
    }
    await expect.poll(async () => (await read()).notes, { timeout: 30_000 }).toEqual([]);
    expect((await read()).rows).toHaveLength(untilMs === undefined ? 0 : 2);
  }
});
