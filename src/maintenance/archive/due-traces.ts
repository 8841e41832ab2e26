import { withSeparators } from '../../shared/format/number.js';
import type { Database } from '../../db/database.js';
import type { Preview } from '../action.js';
import { daySpan } from './tree-preview.js';

export type Due = {
  /** The server's clock when the count was made, with microseconds. */
  asOf: string;
  /** `asOf` less the age. */
  cutoff: string;
  traces: number;
  oldest: Date | null;
  newest: Date | null;
};

/**
 * Counts the traces that started before the cutoff, from idx_execution_traces_started_at alone. It
 * is an upper bound: trees that are partly younger, or in progress, are held back.
 */
export async function countDue(database: Database, olderThan: string, asOf?: string): Promise<Due> {
  const [row] = await database.read<Due>(
    `WITH moment AS (
       SELECT COALESCE($2::timestamptz, now()) AS at,
              COALESCE($2::timestamptz, now()) - $1::interval AS cutoff
     )
     SELECT moment.at::text AS "asOf", moment.cutoff::text AS cutoff,
       count(t.started_at) AS traces, min(t.started_at) AS oldest, max(t.started_at) AS newest
     FROM moment LEFT JOIN execution_traces AS t ON t.started_at < moment.cutoff
     GROUP BY moment.at, moment.cutoff`,
    [olderThan, asOf ?? null],
    { statementTimeoutMs: 60_000 },
  );
  if (!row) throw new Error('the count gave no row');
  return row;
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

export async function archivePreview(database: Database, olderThan: string): Promise<Preview> {
  const [due, children] = await Promise.all([
    countDue(database, olderThan),
    estimatedChildren(database),
  ]);
  const title = `Archive traces older than ${olderThan}`;
  const sql = [
    `SELECT * FROM archive_traces('${olderThan}', 1000, as_of => '${due.asOf}', …); -- until done`,
  ];
  if (due.traces === 0) {
    return { title, facts: [], sql, warnings: [], nothing: `No trace is older than ${olderThan}.` };
  }
  return {
    title,
    sql,
    facts: [
      { label: 'Traces due', value: `${withSeparators(due.traces)} at most` },
      {
        label: 'Rows with them',
        value: `about ${withSeparators(Math.round(due.traces * children))} (decisions, hooks, calls)`,
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
