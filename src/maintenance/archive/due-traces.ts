import { formatDuration } from '../../shared/format/duration.js';
import { withSeparators } from '../../shared/format/number.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteLiteral } from '../../db/quote.js';
import type { Preview } from '../action.js';
import { daySpan } from './tree-preview.js';

export type Due = {
  /** The server's clock when the count was made, with microseconds. */
  asOf: string;
  /** `asOf` less the age. */
  cutoff: string;
  /** Null: they are so many that counting them takes too long. */
  traces: number | null;
  oldest: Date | null;
  newest: Date | null;
};

/** Milliseconds; some ten million traces are counted within. */
export const countTimeoutMs = 60_000;

/**
 * Counts the traces that started before the cutoff, from idx_execution_traces_started_at alone. It
 * is an upper bound: trees that are partly younger, or in progress, are held back.
 */
export async function countDue(
  database: Database,
  olderThan: string,
  asOf?: string,
  timeoutMs = countTimeoutMs,
): Promise<Due> {
  // The ends are found without reading what lies between them.
  const [row] = await database.read<Omit<Due, 'traces'>>(
    `WITH moment AS (
       SELECT COALESCE($2::timestamptz, now()) AS at,
              COALESCE($2::timestamptz, now()) - $1::interval AS cutoff
     )
     SELECT moment.at::text AS "asOf", moment.cutoff::text AS cutoff,
       (SELECT min(started_at) FROM execution_traces WHERE started_at < moment.cutoff) AS oldest,
       (SELECT max(started_at) FROM execution_traces WHERE started_at < moment.cutoff) AS newest
     FROM moment`,
    [olderThan, asOf ?? null],
  );
  if (!row) throw new Error('the clock gave no row');
  return { ...row, traces: await countBefore(database, row.cutoff, timeoutMs) };
}

async function countBefore(
  database: Database,
  cutoff: string,
  timeoutMs: number,
): Promise<number | null> {
  try {
    const [row] = await database.read<{ traces: number }>(
      'SELECT count(*) AS traces FROM execution_traces WHERE started_at < $1::timestamptz',
      [cutoff],
      { statementTimeoutMs: timeoutMs },
    );
    return row?.traces ?? 0;
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'statement_timeout') return null;
    throw error;
  }
}

/** What the planner takes them for, from its statistics. */
async function estimateBefore(database: Database, cutoff: string): Promise<number> {
  const [row] = await database.read<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(
    `EXPLAIN (FORMAT JSON) SELECT FROM execution_traces WHERE started_at < ${quoteLiteral(cutoff)}`,
  );
  return row?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
}

/** Children a trace, from the planner's statistics: a count would read whole tables. */
async function estimatedChildren(database: Database): Promise<number> {
  const [row] = await database.read<{ ratio: number | null }>(
    `SELECT sum(c.reltuples) FILTER (WHERE c.relname <> 'execution_traces')
       / NULLIF(max(c.reltuples) FILTER (WHERE c.relname = 'execution_traces'), 0) AS ratio
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.reltuples >= 0 AND c.relname IN
       ('execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls')`,
    [database.capabilities.schema],
  );
  return row?.ratio ?? 0;
}

export async function archivePreview(
  database: Database,
  olderThan: string,
  timeoutMs = countTimeoutMs,
): Promise<Preview> {
  const [due, children] = await Promise.all([
    countDue(database, olderThan, undefined, timeoutMs),
    estimatedChildren(database),
  ]);
  const title = `Archive traces older than ${olderThan}`;
  const sql = [
    `SELECT * FROM archive_traces('${olderThan}', 1000, as_of => '${due.asOf}', …); -- until done`,
  ];
  if (due.oldest === null) {
    return { title, facts: [], sql, warnings: [], nothing: `No trace is older than ${olderThan}.` };
  }
  const traces = due.traces ?? (await estimateBefore(database, due.cutoff));
  return {
    title,
    sql,
    facts: [
      {
        label: 'Traces due',
        value:
          due.traces === null
            ? `about ${withSeparators(traces)}, estimated: too many to be counted in ${formatDuration(timeoutMs)}`
            : `${withSeparators(traces)} at most`,
      },
      {
        label: 'Rows with them',
        value: `about ${withSeparators(Math.round(traces * children))} (decisions, hooks, calls)`,
      },
      { label: 'Started', value: daySpan(due.oldest, due.newest) },
      { label: 'Moved to', value: '*_archive tables; can be listed, shown and restored' },
      {
        label: 'Locks',
        value: 'rows of one batch at a time, about 0.2 s; readers are not blocked',
      },
      { label: 'Held back', value: 'trees with a younger trace or one in progress (under 7 days)' },
    ],
    warnings: ['Disk space is reused for new rows, not given back to the system.'],
  };
}
