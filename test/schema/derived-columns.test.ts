import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

beforeEach(async () => {
  await database.query('DELETE FROM execution_traces');
});

type Derived = {
  status: string;
  success: boolean | null;
  ended: number | null;
  duration: number | null;
};

/** A trace's derived columns; `ended` is completed_at in ms after started_at. */
const derived = `status, success, duration_ms::float8 AS duration,
  round(1000 * extract(epoch FROM completed_at - started_at))::float8 AS ended`;

function only<Row>(rows: Row[]): Row {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`${rows.length} rows instead of one`);
  return row;
}

async function insertTrace(columns: Record<string, unknown>): Promise<Derived> {
  const names = Object.keys(columns);
  const { rows } = await database.query<Derived>(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, ${names.join(', ')})
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
             ${names.map((_, index) => `$${index + 1}`).join(', ')})
     RETURNING ${derived}`,
    Object.values(columns),
  );
  return only(rows);
}

async function updateTrace(assignments: string): Promise<Derived> {
  const { rows } = await database.query<Derived>(
    `UPDATE execution_traces SET ${assignments} RETURNING ${derived}`,
  );
  return only(rows);
}

const started_at = '2026-01-01T00:00:00Z';
const later = '2026-01-01T00:00:02.500Z';

describe('on insert', () => {
  test('the example of the deployment notes gets an end, a duration and a success', async () => {
    const { rows } = await database.query<{ complete: boolean }>(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status) VALUES
         (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test', 'completed')
       RETURNING success AND completed_at >= started_at AND duration_ms >= 0 AND updated_at = created_at AS complete`,
    );
    expect(rows).toEqual([{ complete: true }]);
  });

  test('running work has no end, duration or success', async () => {
    expect(await insertTrace({ started_at })).toEqual({
      status: 'in_progress',
      success: null,
      ended: null,
      duration: null,
    });
  });

  test.each([
    ['completed', true],
    ['failed', false],
    ['cancelled', false],
    ['timeout', false],
  ])('status %s means success %s', async (status, success) => {
    expect(await insertTrace({ status, started_at, completed_at: later })).toEqual({
      status,
      success,
      ended: 2500,
      duration: 2500,
    });
  });

  test('what the writer gives stays', async () => {
    const given = { success: false, duration_ms: 7, completed_at: later };
    expect(await insertTrace({ status: 'completed', started_at, ...given })).toEqual({
      status: 'completed',
      success: false,
      ended: 2500,
      duration: 7,
    });
  });

  test('a duration without an end gives the end', async () => {
    const trace = await insertTrace({ status: 'failed', started_at, duration_ms: 1500 });
    expect(trace).toMatchObject({ ended: 1500, duration: 1500 });
  });

  test('an end before the start, as clocks that differ write it, is no negative duration', async () => {
    const trace = await insertTrace({
      status: 'completed',
      started_at: later,
      completed_at: started_at,
    });
    expect(trace.duration).toBe(0);
  });

  test.each([
    ['infinite times', { started_at: '-infinity', completed_at: 'infinity' }],
    ['a start in the far future', { started_at: '294276-12-31', duration_ms: 1000 }],
    ['a start that never comes', { started_at: 'infinity' }],
    ['the longest time there is', { started_at: '4713-01-01 BC', completed_at: '294276-12-31' }],
    ['the largest duration there is', { duration_ms: '9223372036854775807' }],
  ])('%s: the row is not refused', async (_, columns) => {
    const names = Object.keys(columns);
    const result = await database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, ${names.join(', ')})
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed',
               ${names.map((_name, index) => `$${index + 1}`).join(', ')})`,
      Object.values(columns),
    );
    expect(result.rowCount).toBe(1);
    await database.query(`UPDATE execution_traces SET completed_at = now()`);
  });

  test('a restored row comes back as it was', async () => {
    const client = await database.pool.connect();
    try {
      await client.query('BEGIN; SET LOCAL trace_console.restoring = on');
      const { rows } = await client.query(
        `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
         VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed')
         RETURNING success, completed_at, duration_ms`,
      );
      expect(rows).toEqual([{ success: null, completed_at: null, duration_ms: null }]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });
});

describe('on update', () => {
  test('a final status ends the work now', async () => {
    await insertTrace({ started_at });
    const trace = await updateTrace(`status = 'completed', started_at = now() - interval '1 hour'`);
    expect(trace.success).toBe(true);
    expect(trace.duration).toBeGreaterThanOrEqual(3_600_000);
    expect(trace.duration).toBe(trace.ended);
  });

  test('success follows a status that changes, and the writer who says otherwise', async () => {
    await insertTrace({ status: 'completed', started_at, completed_at: later });
    expect(await updateTrace(`status = 'failed'`)).toMatchObject({ success: false, ended: 2500 });
    expect(await updateTrace(`status = 'timeout', success = true`)).toMatchObject({
      success: true,
    });
    expect(await updateTrace(`error_type = 'E'`)).toMatchObject({ success: true });
  });

  test('work that is opened again has no end, duration or success', async () => {
    await insertTrace({ status: 'failed', started_at, completed_at: later });
    expect(await updateTrace(`status = 'in_progress'`)).toEqual({
      status: 'in_progress',
      success: null,
      ended: null,
      duration: null,
    });
  });

  test('a derived duration follows corrected times, a measured one does not', async () => {
    await insertTrace({ status: 'completed', started_at, completed_at: later });
    expect(await updateTrace(`completed_at = completed_at + interval '1 s'`)).toMatchObject({
      duration: 3500,
    });
    expect(await updateTrace(`duration_ms = 77`)).toMatchObject({ duration: 77 });
    expect(await updateTrace(`completed_at = completed_at + interval '1 s'`)).toMatchObject({
      ended: 4500,
      duration: 77,
    });
  });

  test('a stuck trace of months has its duration', async () => {
    await insertTrace({ started_at: '2026-01-01' });
    const trace = await updateTrace(`status = 'timeout', completed_at = '2026-06-01'`);
    const { rows } = await database.query('SELECT duration_ms FROM execution_traces');
    expect(trace.success).toBe(false);
    expect(rows).toEqual([{ duration_ms: String(151 * 86_400_000) }]);
  });
});
