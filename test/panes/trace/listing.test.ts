import { beforeAll, expect, test } from 'vitest';
import { firstPage, positionOf, readPage } from '../../../src/panes/contract/listing.js';
import type { ListRequest, Opening } from '../../../src/panes/contract/opening.js';
import { traceOfPrefixOpening, tracesOpening } from '../../../src/panes/trace/traces-listed.js';
import { tracesFrom } from '../../../src/panes/trace/timeline.js';
import { tracesQuery, type TracesOf } from '../../../src/panes/trace/traces-query.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { detailAccess, openDatabase } from '../open.js';

/** Every tenth fails, every third is of billing, every fourth is given to a reviewer; one second apart. */
const traces = 900;

let db: TestDatabase;

beforeAll(async () => {
  db = await createTestDatabase();
  await db.query(
    `INSERT INTO execution_traces
       (correlation_id, root_id, session_id, source, project, user_id, status, started_at, completed_at, prompt_text, error_type)
     SELECT id, id, md5('s' || i % 50)::uuid, 'user_prompt', CASE WHEN i % 3 = 0 THEN 'billing' ELSE 'web' END, 'user-' || i % 5,
       CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'completed' END, at, at + i * interval '1 ms', 'prompt ' || i,
       CASE WHEN i % 10 = 0 THEN 'Broken' END
     FROM (SELECT i, md5('t' || i)::uuid AS id, now() - i * interval '1 s' AS at FROM generate_series(1, $1::int) AS i) AS made`,
    [traces],
  );
  await db.query(
    `INSERT INTO agent_routing_decisions (trace_id, created_at, agent_selected, confidence_score, routing_strategy)
     SELECT id, started_at, CASE WHEN substr(prompt_text, 8)::int % 4 = 0 THEN 'reviewer' ELSE 'writer' END, 0.9, 'explicit'
     FROM execution_traces`,
  );
  await db.query(
    `INSERT INTO hook_executions (trace_id, started_at, hook_name, hook_type, tool_name, status, duration_ms)
     SELECT id, started_at, 'guard', 'PreToolUse', CASE WHEN status = 'failed' THEN 'Bash' ELSE 'Read' END, status, 5
     FROM execution_traces`,
  );
  await db.query('ANALYZE');
});

async function page(of: TracesOf, request: Partial<ListRequest> = {}) {
  const access = await detailAccess(await openDatabase(db.url));
  return readPage(access, tracesQuery(access.shape, of), { ...firstPage, ...request });
}

test('pages lead through all rows, each once, also where others are written meanwhile', async () => {
  const access = await detailAccess(await openDatabase(db.url));
  const query = tracesQuery(access.shape, { by: 'all' });
  for (const sort of ['started', 'took']) {
    const seen: string[] = [];
    let after: ListRequest['after'];
    for (let isMore = true; isMore;) {
      const { rows, hasMore } = await readPage(access, query, { ...firstPage, sort, after });
      seen.push(...rows.map(({ id }) => id));
      const last = rows.at(-1);
      after = last && positionOf(last);
      isMore = hasMore;
      if (sort === 'started') {
        await db.query(
          `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
           SELECT id, id, id, 'late', 'completed' FROM (SELECT gen_random_uuid() AS id) AS made`,
        );
      }
    }
    if (sort === 'started') {
      await db.query(`DELETE FROM execution_traces WHERE source = 'late'`);
    }
    expect(seen).toHaveLength(traces);
    expect(new Set(seen).size).toBe(traces);
  }
});

test('counts are of all rows, not of those that are read', async () => {
  const { rows, total, hasMore } = await page({ by: 'agent', agent: 'writer' });
  expect(rows).toHaveLength(200);
  expect(hasMore).toBe(true);
  const { rows: counted } = await db.query<{ rows: number; failed: number }>(
    `SELECT count(*)::int AS rows, (count(*) FILTER (WHERE i % 10 = 0))::int AS failed
     FROM generate_series(1, ${traces}) AS i WHERE i % 4 <> 0`,
  );
  expect(total).toEqual(counted[0]);
});

test.each<[filter: string, holds: (i: number) => boolean]>([
  ['status:failed agent:reviewer', (i) => i % 10 === 0 && i % 4 === 0],
  ['project:billing status=failed', (i) => i % 3 === 0 && i % 10 === 0],
  ['hook:guard tool:bash', (i) => i % 10 === 0],
  ['agent:reviewer !project:billing user:user-1', (i) => i % 4 === 0 && i % 3 !== 0 && i % 5 === 1],
  ['took>=895ms', (i) => i >= 895],
  ['broken', (i) => i % 10 === 0],
  ['"prompt 17"', (i) => String(i).startsWith('17')],
  ['agent=review', () => false],
  ['error:100%', () => false],
])('a list filtered by %s has exactly the rows that match', async (filter, holds) => {
  const { total } = await page({ by: 'all' }, { filter });
  const expected = Array.from({ length: traces }, (_, n) => n + 1).filter(holds);
  expect(total?.rows).toBe(expected.length);
});

test('only what failed is a condition beside the filter', async () => {
  const { total } = await page({ by: 'project', project: 'billing' }, { failedOnly: true });
  expect(total).toEqual({ rows: 30, failed: 30 });
});

test('the beginning of an id is enough, of a session and of a trace', async () => {
  const { rows } = await db.query<{ session: string; trace: string; n: number }>(
    `SELECT md5('s7') AS session, md5('t7') AS trace, ${traces / 50} AS n`,
  );
  const { session = '', trace = '', n } = rows[0] ?? {};
  expect((await page({ by: 'session', digits: session.slice(0, 8) })).total?.rows).toBe(n);
  const access = await detailAccess(await openDatabase(db.url));
  const found = await tracesFrom(access, trace.slice(0, 8), 10);
  expect(found).toHaveLength(1);
  expect((await page({ by: 'ids', ids: found.map(({ id }) => id) })).rows).toMatchObject([
    { text: 'prompt 7' },
  ]);
});

test('a list of an id that does not exist names the nearest that does', async () => {
  const { rows } = await db.query<{ session: string; trace: string }>(
    `SELECT md5('s7')::uuid::text AS session, md5('t7')::uuid::text AS trace`,
  );
  const { session = '', trace = '' } = rows[0] ?? {};
  const access = await detailAccess(await openDatabase(db.url));
  const emptyOf = async (opening: Opening) => {
    const opened = await opening.read(access);
    return opened.kind === 'list' ? opened.empty : '';
  };
  const wrong = (id: string) => `${id.slice(0, 6)}${id[6] === '0' ? '1' : '0'}${id[7] ?? ''}`;
  const of = { by: 'session', digits: wrong(session) } as const;
  expect(await emptyOf(tracesOpening('Session', of))).toContain(`Did you mean ${session}?`);
  expect(await emptyOf(traceOfPrefixOpening(wrong(trace)))).toContain(`Did you mean ${trace}?`);
});

test('stuck traces are those in progress for too long, whenever they started', async () => {
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'stuck', 'in_progress', now() - ago
     FROM (SELECT gen_random_uuid() AS id, ago FROM unnest(ARRAY[interval '3 h', interval '1 min']) AS ago) AS made`,
  );
  const { rows } = await page({ by: 'stuck', stuckAfterMs: 3_600_000 });
  await db.query(`DELETE FROM execution_traces WHERE source = 'stuck'`);
  expect(rows).toHaveLength(1);
});

test('a filter that cannot be read is refused with words', async () => {
  await expect(page({ by: 'all' }, { filter: 'nothing:here' })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('no column nothing') as string,
  });
});
