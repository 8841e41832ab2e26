import type pg from 'pg';

/** What is written; the same in every run with the same seed. */
export type OverviewData = {
  traces: number;
  hooksPerTrace: number;
  /** The first trace starts at the beginning of this span, the last one just before its end; evenly spread. */
  fromHoursAgo: number;
  untilHoursAgo: number;
  /** Begins the ids, so that two fillings of one database do not collide. */
  name: string;
  /** Another seed, other durations and outcomes. */
  seed: number;
  /** Of the traces those from `first` to `last` (counted from 1), where not all are written at once; times are of `now` then. */
  part?: { first: number; last: number; now: Date };
};

/**
 * Fills execution_traces and hook_executions in time order: what the overview is measured on. Every value is
 * a hash of the row's number and the seed, so ids are in random order as real ones are. Durations have a
 * long tail, three to five in a hundred fail.
 *
 * The tables' own triggers and keys are passed over (the rows are consistent), so it needs a superuser.
 * History is filled before the indexes are built, which is several times faster.
 *
 * @param lastly a statement of the same transaction
 */
export async function fillOverview(
  client: pg.ClientBase,
  data: OverviewData,
  lastly?: string,
): Promise<void> {
  const { traces, fromHoursAgo, untilHoursAgo, seed, name, hooksPerTrace } = data;
  const part = data.part ?? { first: 1, last: traces, now: undefined };
  const values = [
    ...[traces, fromHoursAgo, untilHoursAgo, seed, name],
    ...[part.first, part.last, part.now?.toISOString()],
  ];
  await client.query('BEGIN');
  await client.query('SET LOCAL session_replication_role = replica');
  await client.query(tracesStatement, values);
  await client.query(hooksStatement, [...values, hooksPerTrace]);
  if (lastly !== undefined) await client.query(lastly);
  await client.query('COMMIT');
}

/** The start of trace i of $1, between $2 and $3 hours ago. */
const startedAt = `coalesce($8::timestamptz, now()) - interval '1 hour' * ($3::float8 + ($2::float8 - $3::float8) * ($1::int - i) / $1::int)`;

/** A number in [0, 1) that belongs to the row and to what it is for. */
const chance = (row: string, purpose: string) =>
  `(hashtextextended(${row}, $4::int * 10 + ${purpose}) & 1048575) / 1048576.0::float8`;

const tracesStatement = `
  INSERT INTO execution_traces (id, created_at, updated_at, correlation_id, root_id, session_id,
    source, prompt_text, status, success, started_at, completed_at, duration_ms)
  SELECT md5($5 || 'trace' || i)::uuid, at, at, md5($5 || 'correlation' || i)::uuid, md5($5 || 'correlation' || i)::uuid,
    md5($5 || 'session' || i / 40)::uuid, 'user_prompt', 'Refactor module ' || i,
    status, CASE WHEN status <> 'in_progress' THEN status = 'completed' END, at,
    CASE WHEN status <> 'in_progress' THEN at + ms * interval '1 millisecond' END,
    CASE WHEN status <> 'in_progress' THEN ms END
  FROM generate_series($6::int, $7::int) AS i,
    LATERAL (SELECT ${startedAt} AS at, ${chance(`'trace' || i`, '1')} AS luck,
      (200 * exp(6 * ${chance(`'trace' || i`, '2')}))::bigint AS ms) AS drawn,
    LATERAL (SELECT CASE WHEN i > $1::int - 100 AND $3::float8 = 0 THEN 'in_progress' WHEN luck < 0.04 THEN 'failed'
      WHEN luck < 0.05 THEN 'timeout' ELSE 'completed' END AS status) AS outcome`;

const hooksStatement = `
  INSERT INTO hook_executions (id, created_at, updated_at, trace_id, hook_type, hook_name,
    execution_order, tool_name, tool_use_id, status, success, started_at, completed_at, duration_ms)
  SELECT md5($5 || 'hook' || i || '-' || j)::uuid, at, at, md5($5 || 'trace' || i)::uuid,
    CASE j % 2 WHEN 0 THEN 'PreToolUse' ELSE 'PostToolUse' END, 'hook-' || j % 9, j,
    (ARRAY['Bash', 'Edit', 'Read', 'Write', NULL])[1 + j % 5], 'toolu_' || i || '_' || j / 2,
    status, CASE WHEN status <> 'in_progress' THEN status = 'completed' END, at,
    CASE WHEN status <> 'in_progress' THEN at + ms * interval '1 millisecond' END,
    CASE WHEN status <> 'in_progress' THEN ms END
  FROM generate_series($6::int, $7::int) AS i CROSS JOIN generate_series(1, $9::int) AS j,
    LATERAL (SELECT ${startedAt} + j * interval '3 ms' AS at,
      ${chance(`'hook' || i || '-' || j`, '1')} AS luck,
      (4 * (1 + j % 9) * exp(5 * ${chance(`'hook' || i || '-' || j`, '2')}))::bigint AS ms) AS drawn,
    LATERAL (SELECT CASE WHEN i > $1::int - 2 AND $3::float8 = 0 THEN 'in_progress' WHEN luck < 0.03 THEN 'failed'
      ELSE 'completed' END AS status) AS outcome`;
