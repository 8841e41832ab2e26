/**
 * What partitions by time would give and cost: hook_executions as it is beside the same rows in partitions of a week.
 *
 *     npm run bench -- partitions [--traces 100000] [--weeks 26] [--rounds 200]
 *
 * Ten hooks a trace, spread evenly over the weeks; the same indexes on both. Planning and execution are the server's own
 * figures (EXPLAIN ANALYZE), medians; the first rounds, which fill the caches of the session, do not count. A plan of a prepared
 * statement is not measured: the console and the functions of the schema plan each time.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { schemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { fillOverview } from './lib/overview-data.js';
import { quantile } from './lib/quantile.js';

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '100000' },
    weeks: { type: 'string', default: '26' },
    rounds: { type: 'string', default: '200' },
  },
});
const weeks = Number(flags.weeks);
const rounds = Number(flags.rounds);
const hooksPerTrace = 10;

async function fill(client: pg.Client): Promise<void> {
  const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
  await client.query(files.slice(0, 8).join('\n'));
  await fillOverview(client, {
    traces: Number(flags.traces),
    hooksPerTrace,
    fromHoursAgo: weeks * 7 * 24,
    untilHoursAgo: 0,
    name: 'history',
    seed: 1,
  });
  await client.query(files.slice(8).join('\n'));
  // A unique key of a partitioned table must hold what it is partitioned by, so that the id alone is not unique any more.
  await client.query(`
    CREATE TABLE parted (LIKE hook_executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (started_at);
    DO $$
    DECLARE week int; definition text; since timestamptz := now() - interval '1 week' * ${weeks};
    BEGIN
      FOR week IN 0 .. ${weeks} LOOP
        EXECUTE format('CREATE TABLE parted_%s PARTITION OF parted FOR VALUES FROM (%L) TO (%L)', week,
          CASE WHEN week = 0 THEN '-infinity' ELSE (since + interval '1 week' * week)::text END,
          (since + interval '1 week' * (week + 1))::text);
      END LOOP;
      INSERT INTO parted SELECT * FROM hook_executions;
      ALTER TABLE parted ADD PRIMARY KEY (id, started_at);
      FOR definition IN
        SELECT replace(replace(pg_get_indexdef(indexrelid), 'hook_executions', 'parted'), 'CREATE INDEX idx_', 'CREATE INDEX parted_idx_')
        FROM pg_index WHERE indrelid = 'hook_executions'::regclass AND NOT indisunique
      LOOP EXECUTE definition; END LOOP;
    END $$`);
  await client.query('VACUUM (ANALYZE)');
}

type Times = { planning: number; execution: number };

async function explained(client: pg.Client, sql: string): Promise<Times> {
  const planning: number[] = [];
  const execution: number[] = [];
  for (let round = -5; round < rounds; round += 1) {
    const { rows } = await client.query<{ 'QUERY PLAN': Record<string, number>[] }>(
      `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${sql}`,
    );
    const [plan] = rows[0]?.['QUERY PLAN'] ?? [];
    if (round < 0 || !plan) continue;
    planning.push(plan['Planning Time'] ?? NaN);
    execution.push(plan['Execution Time'] ?? NaN);
  }
  return { planning: quantile(planning, 0.5), execution: quantile(execution, 0.5) };
}

const questions: readonly (readonly [string, (table: string) => string])[] = [
  [
    'the hooks of one trace',
    (table) =>
      `SELECT * FROM ${table} WHERE trace_id = md5('historytrace' || ${Math.floor(Number(flags.traces) / 2)})::uuid`,
  ],
  [
    'a hook by its id',
    (table) => `SELECT * FROM ${table} WHERE id = md5('historyhook100-1')::uuid`,
  ],
  [
    'the last hour, counted by hook',
    (table) =>
      `SELECT hook_name, count(*) FROM ${table} WHERE started_at >= now() - interval '1 hour' GROUP BY 1`,
  ],
  ['the newest 30', (table) => `SELECT * FROM ${table} ORDER BY started_at DESC LIMIT 30`],
];

/** Milliseconds of a statement that changes something, each time undone. */
async function timed(client: pg.Client, sql: string, times: number): Promise<number> {
  const took: number[] = [];
  for (let round = -1; round < times; round += 1) {
    await client.query('BEGIN');
    const began = performance.now();
    await client.query(sql);
    if (round >= 0) took.push(performance.now() - began);
    await client.query('ROLLBACK');
  }
  return quantile(took, 0.5);
}

const insertInto = (table: string) => `
  INSERT INTO ${table} (id, trace_id, hook_type, hook_name, status, started_at)
  SELECT gen_random_uuid(), md5('historytrace1')::uuid, 'PreToolUse', 'hook', 'completed', now()
  FROM generate_series(1, 1000)`;

await withBenchServer(
  async (server) => {
    const url = await server.create('bench_partitions');
    await connected(url, async (client) => {
      await fill(client);
      console.log(
        `${server.description}; ${flags.traces} traces with ${hooksPerTrace} hooks each in ${weeks} weeks, a partition a week`,
      );
      for (const [what, ask] of questions) {
        const plain = await explained(client, ask('hook_executions'));
        const parted = await explained(client, ask('parted'));
        const sum = ({ planning, execution }: Times) => planning + execution;
        const said = ({ planning, execution }: Times) =>
          `${planning.toFixed(2)} + ${execution.toFixed(2)} ms`;
        console.log(
          `  ${what.padEnd(32)} plain ${said(plain)}, partitioned ${said(parted)}: ${(sum(parted) / sum(plain)).toFixed(1)} ×`,
        );
      }
      await client.query('ALTER TABLE hook_executions DISABLE TRIGGER USER');
      const plainInsert = await timed(client, insertInto('hook_executions'), 15);
      const partedInsert = await timed(client, insertInto('parted'), 15);
      console.log(
        `  ${'1,000 rows inserted'.padEnd(32)} plain ${plainInsert.toFixed(1)} ms (with its foreign key), partitioned ${partedInsert.toFixed(1)} ms (without)`,
      );
      const counted = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM parted_1');
      const n = counted.rows[0]?.n ?? 0;
      const detach = await timed(client, 'ALTER TABLE parted DETACH PARTITION parted_1', 3);
      const move = await timed(
        client,
        `WITH gone AS (DELETE FROM hook_executions WHERE id IN (SELECT id FROM parted_1) RETURNING *)
         INSERT INTO hook_executions_archive (${await archivedColumns(client)}) SELECT ${await archivedColumns(client)} FROM gone`,
        2,
      );
      console.log(
        `  ${'a week leaves the table'.padEnd(32)} detached in ${detach.toFixed(1)} ms; its ${n} rows moved in ${move.toFixed(0)} ms, ${Math.round(n / (move / 1000))} rows/s`,
      );
    });
    await server.drop('bench_partitions');
  },
  { shared_buffers: '1GB', max_wal_size: '8GB' },
);
process.exit(0);

async function archivedColumns(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(a.attname), ', ') AS columns FROM pg_attribute AS a
     WHERE a.attrelid = 'hook_executions_archive'::regclass AND a.attnum > 0 AND NOT a.attisdropped
       AND EXISTS (SELECT FROM pg_attribute AS b WHERE b.attrelid = 'hook_executions'::regclass AND b.attname = a.attname)`,
  );
  return rows[0]?.columns ?? '';
}
