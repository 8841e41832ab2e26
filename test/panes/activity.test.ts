import { expect, test } from 'vitest';
import { fc } from '../helpers/seeds.js';
import { activity, activityKept } from '../../src/panes/activity.js';
import { createTestDatabase } from '../helpers/database.js';
import { connect, ids, insertTrace } from './activity-events.js';
import { openDatabase, readFresh, readWith } from './open.js';

test('merges traces, decisions, hooks and calls in the order of their time, newest last', async () => {
  const database = await createTestDatabase();
  const trace = await insertTrace(database.pool, '4 seconds');
  await database.query(
    `INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
     VALUES ($1, 'agent-refactor', 0.87, 'fuzzy_match', now() - interval '3 seconds')`,
    [trace],
  );
  await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, duration_ms, started_at)
     VALUES ($1, 'PreToolUse', 'guard', 'Bash', 'failed', 40, now() - interval '2 seconds')`,
    [trace],
  );
  await database.query(
    `INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at)
     VALUES ($1, 'search', 'https://search.internal/q', 'GET', 503, now() - interval '1 second')`,
    [trace],
  );
  const { rows } = await readFresh(await openDatabase(database.url), activity);
  expect(rows).toMatchObject([
    { kind: 'trace', traceId: trace, status: 'completed', title: 'test', text: 'a prompt' },
    { kind: 'routing', traceId: trace, status: null, title: 'agent-refactor' },
    { kind: 'hook', status: 'failed', durationMs: 40, title: 'guard', text: 'PreToolUse Bash' },
    { kind: 'call', status: 'failed', text: 'GET https://search.internal/q 503' },
  ]);
  expect(rows[1]?.text).toBe('87% fuzzy_match');
  expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
});

test('a trace that ends changes in place and is not new again', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const first = await insertTrace(database.pool, '2 seconds', 'in_progress');
  await insertTrace(database.pool, '1 second');
  await readWith(console_, activity, reader);
  await database.query(`UPDATE execution_traces SET status = 'failed' WHERE id = $1`, [first]);
  const { rows, extras } = await readWith(console_, activity, reader);
  expect(rows.map(({ status }) => status)).toEqual(['failed', 'completed']);
  expect(rows[0]).toMatchObject({ id: first, seq: 1 });
  expect(extras.seen).toBe(2);
});

test('a row committed long after others that began later is put where its time belongs', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const slow = await connect(database);
  try {
    await slow.query('BEGIN');
    const late = await insertTrace(slow, '1 minute');
    const early = await insertTrace(database.pool, '2 minutes');
    const later = await insertTrace(database.pool, '1 second');
    expect(ids((await readWith(console_, activity, reader)).rows)).toEqual([early, later]);
    await insertTrace(database.pool, '0 seconds');
    await readWith(console_, activity, reader);
    await slow.query('COMMIT');
    const { rows } = await readWith(console_, activity, reader);
    expect(ids(rows).slice(0, 3)).toEqual([early, late, later]);
    expect(rows[1]?.seq).toBe(4);
  } finally {
    await slow.end();
  }
});

test('shows the newest hundred first, then all that it keeps, and counts what is older as nothing new', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const older = 'older events are being read';
  const add = (count: number, agoMs: number) =>
    database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed',
         now() - interval '1 millisecond' * ($2::int + i)
       FROM generate_series(1, $1::int) AS i`,
      [count, agoMs],
    );
  await add(300, 1_000);
  const first = await readWith(console_, activity, reader);
  expect([first.rows.length, first.notes, first.extras.seen]).toEqual([100, [older], 100]);
  await add(7, 0);
  const second = await readWith(console_, activity, reader);
  expect([second.rows.length, second.notes, second.extras.seen]).toEqual([307, [], 107]);
  const { rows } = await database.query<{ id: string }>(
    'SELECT id FROM execution_traces ORDER BY started_at',
  );
  expect(ids(second.rows)).toEqual(rows.map(({ id }) => id));
  await add(2, 0);
  const third = await readWith(console_, activity, reader);
  expect([third.rows.length, third.extras.seen]).toEqual([309, 109]);
});

test('keeps the newest, bounded, and says when more came than it keeps', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const fill = (count: number) =>
    database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed',
         now() - (interval '1 millisecond' * i / 100.0)
       FROM generate_series(1, $1::int) AS i`,
      [count],
    );
  await fill(activityKept + 10);
  await readWith(console_, activity, reader);
  const first = await readWith(console_, activity, reader);
  expect(first.rows).toHaveLength(activityKept);
  expect(first.extras.gap).toBe(false);
  await fill(activityKept + 10);
  const second = await readWith(console_, activity, reader);
  expect(second.rows).toHaveLength(activityKept);
  expect(second.extras.gap).toBe(true);
  const { rows } = await database.query<{ id: string }>(
    `SELECT id FROM execution_traces ORDER BY started_at DESC LIMIT $1`,
    [activityKept],
  );
  expect(new Set(ids(second.rows))).toEqual(new Set(rows.map(({ id }) => id)));
});

type Step =
  | { do: 'begin'; session: number; savepoint: boolean }
  | { do: 'insert'; session: number; agoMs: number }
  | { do: 'end'; session: number; commit: boolean }
  | { do: 'update'; pick: number }
  | { do: 'read' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('begin' as const),
        session: fc.nat(2),
        savepoint: fc.boolean(),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('insert' as const),
        session: fc.nat(2),
        agoMs: fc.nat(100_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('end' as const),
        session: fc.nat(2),
        commit: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('update' as const), pick: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
  ),
  { minLength: 10, maxLength: 40 },
);

test('misses nothing and shows nothing twice, whatever the order of transactions, subtransactions and commits', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const sessions = await Promise.all([1, 2, 3].map(() => connect(database)));
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        await database.query('TRUNCATE execution_traces CASCADE');
        const reader = activity.createReader();
        const open = sessions.map(() => false);
        const seen = new Map<string, number>();
        const read = async () => {
          const { rows } = await readWith(console_, activity, reader);
          const found = ids(rows);
          expect(new Set(found).size).toBe(found.length);
          for (const { id, seq } of rows) {
            expect(seen.get(id) ?? seq).toBe(seq);
            seen.set(id, seq);
          }
          const { rows: plain } = await database.query<{ id: string; status: string }>(
            'SELECT id, status FROM execution_traces ORDER BY started_at, id',
          );
          expect(new Map(rows.map(({ id, status }) => [id, status]))).toEqual(
            new Map(plain.map(({ id, status }) => [id, status])),
          );
        };
        for (const step of script) {
          if (step.do === 'read') await read();
          else if (step.do === 'update') {
            // Only committed rows that nobody holds: the newest of them by choice.
            await database.query(
              `UPDATE execution_traces SET status = 'failed' WHERE id =
                 (SELECT id FROM execution_traces ORDER BY id OFFSET $1::int % 7 LIMIT 1 FOR UPDATE SKIP LOCKED)`,
              [step.pick % 1_000],
            );
          } else {
            const session = sessions[step.session];
            if (!session) continue;
            if (step.do === 'insert') await insertTrace(session, `${step.agoMs} milliseconds`);
            else if (step.do === 'begin' && !open[step.session]) {
              await session.query(step.savepoint ? 'BEGIN; SAVEPOINT inner_one' : 'BEGIN');
              open[step.session] = true;
            } else if (step.do === 'end' && open[step.session]) {
              await session.query(step.commit ? 'COMMIT' : 'ROLLBACK');
              open[step.session] = false;
            }
          }
        }
        for (const [index, session] of sessions.entries()) {
          if (open[index]) await session.query('COMMIT');
        }
        await read();
      }),
      { numRuns: 25, endOnFailure: true },
    );
  } finally {
    await Promise.all(sessions.map((session) => session.end()));
  }
}, 120_000);

test('a table that another session has locked is left out and named; the others go on', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const reader = activity.createReader();
  const trace = await insertTrace(database.pool, '5 seconds');
  await readWith(console_, activity, reader);
  const locker = await connect(database);
  try {
    const { rows: self } = await locker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await locker.query('BEGIN; LOCK TABLE hook_executions IN ACCESS EXCLUSIVE MODE');
    await locker.query(
      `INSERT INTO hook_executions (trace_id, hook_type, hook_name) VALUES ('${trace}', 'PreToolUse', 'held')`,
    );
    const newer = await insertTrace(database.pool, '1 second');
    const blocked = await readWith(console_, activity, reader);
    expect(ids(blocked.rows)).toEqual([trace, newer]);
    expect(blocked.notes).toEqual([`hook_executions is locked by pid ${self[0]?.pid ?? 0}`]);
    await locker.query('COMMIT');
    const free = await readWith(console_, activity, reader);
    expect(free.rows.map(({ title }) => title)).toContain('held');
    expect(free.notes).toEqual([]);
  } finally {
    await locker.end();
  }
});

test('a decisions table of another program is named, and the rest is followed', async () => {
  const database = await createTestDatabase();
  await database.query('DROP TABLE agent_routing_decisions CASCADE');
  await database.query(
    'CREATE TABLE agent_routing_decisions (correlation_id uuid, user_request text, selected_agent text)',
  );
  const trace = await insertTrace(database.pool, '1 second');
  const { rows, notes } = await readFresh(await openDatabase(database.url), activity);
  expect(ids(rows)).toEqual([trace]);
  expect(notes).toEqual([
    'agent_routing_decisions cannot be followed: it is missing, not readable, or of another shape',
  ]);
});

test('the rate above the tail says what it counts', () => {
  const above = (perSecond: number, gap: boolean) =>
    activity
      .summary?.(
        { rows: [], extras: { seen: 9, perSecond, gap }, asOf: new Date(0), notes: [] },
        { nowMs: 0 },
      )
      .map((line) => line.map(({ text }) => text).join(' '));
  expect(above(0.8, false)).toEqual(['events 0.8/s']);
  expect(above(400, true)?.join()).toContain('events over 400/s more came');
});
