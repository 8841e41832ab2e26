import { knownDuration, toolInputText } from '../trace/hook-columns.js';
import { byOwnKey } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { formatCount } from '../../core/format/number.js';
import { formatClock } from '../../core/format/time.js';
import type { Parameters } from '../contract/listing.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import type { ActivityKind, ActivityRow } from './activity-buffer.js';
import { boundedText } from '../../db/quote.js';

export type ActivitySource = {
  kind: ActivityKind;
  table: string;
  /** When it happened; there is an index by it, newest first. */
  at: string;
  /** Without these it cannot be followed. */
  required: readonly string[];
};

export const activitySources: readonly ActivitySource[] = [
  {
    kind: 'trace',
    table: 'execution_traces',
    at: 'started_at',
    required: ['id', 'started_at', 'status'],
  },
  {
    kind: 'routing',
    table: 'agent_routing_decisions',
    at: 'created_at',
    required: ['id', 'created_at', 'trace_id', 'agent_selected'],
  },
  {
    kind: 'hook',
    table: 'hook_executions',
    at: 'started_at',
    required: ['id', 'started_at', 'trace_id', 'hook_name'],
  },
  {
    kind: 'call',
    table: 'endpoint_calls',
    at: 'started_at',
    required: ['id', 'started_at', 'trace_id', 'service_name'],
  },
];

/**
 * Where the next reading goes on: the oldest transaction that is open now, as an xid. Whatever is written
 * by a transaction that ends after this moment has this xid or a later one, in subtransactions too. `$1`:
 * schema, `$2`: tables; those of them that nobody can read just now, with the process that locks them.
 */
const activityStateStatement = `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  pg_snapshot_xmin(pg_current_snapshot())::xid::text AS open_since,
  COALESCE((
    SELECT json_object_agg(relname, pid) FROM (
      SELECT c.relname, min(l.pid) AS pid
      FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
      WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relname = ANY ($2)
      GROUP BY c.relname
    ) AS locked
  ), '{}') AS locked`;

/** A view has no xmin to follow. */
export function isUsable({ table, required }: ActivitySource, shape: SchemaShape): boolean {
  const relation = shape.relations.get(table);
  return (
    relation !== undefined &&
    ['r', 'p'].includes(relation.kind) &&
    relation.select &&
    required.every((column) => relation.columns.has(column))
  );
}

export type ActivityState = {
  now_ms: number;
  open_since: string;
  locked: Record<string, number>;
};

/** Where the sources stand now, and those of them that can be read. */
export async function readActivityState(
  tx: Queryable,
  schema: string,
  sources: readonly ActivitySource[],
): Promise<ActivityState & { free: ActivitySource[] }> {
  const tables = sources.map(({ table }) => table);
  const { rows } = await tx.query<ActivityState>(activityStateStatement, [schema, tables]);
  const [state] = rows;
  if (!state) throw new ConsoleError('internal', 'The server told no snapshot.');
  return {
    ...state,
    free: sources.filter(({ table }) => !Object.hasOwn(state.locked, table)),
  };
}

/**
 * What is said of tables that are locked: by whom, and of when their events are that are shown all the same. `readAtMs`: when
 * each kind was read last.
 */
export function lockNotes(
  { locked }: ActivityState,
  sources: readonly ActivitySource[],
  shown: readonly ActivityRow[],
  readAtMs: ReadonlyMap<ActivityKind, number>,
): string[] {
  return sources.flatMap(({ kind, table }) => {
    const pid = byOwnKey(locked, table);
    if (pid === undefined) return [];
    const note = `${table} is locked by pid ${pid}`;
    const readAt = shown.some((row) => row.kind === kind) ? readAtMs.get(kind) : undefined;
    return [
      readAt === undefined ? note : `${note}: its events as of ${formatClock(new Date(readAt))}`,
    ];
  });
}

/** Events a second between two readings; null at the first. */
export function eventRate(
  events: number,
  lastMs: number | undefined,
  nowMs: number,
): number | null {
  return lastMs === undefined ? null : (1000 * events) / Math.max(1, nowMs - lastMs);
}

/**
 * What was written since the last reading, from the sources given. `$1`: from when on (seconds since 1970,
 * -infinity is allowed), `$2`: the `open_since` of the last reading or NULL, `$3`: how many at most, the newest,
 * `$4`: before when (infinity is allowed).
 *
 * A row's xmin says which transaction wrote it: so a row is found however late it was committed, and again
 * when it was updated, while nothing that was there before is sent again. Each source is one scan of its
 * index by time, newest first, over what the console shows: 0.5 ms for 1,000 rows. What bounds a text names it four times,
 * so that it is made once below: written out, the statement was three times as long, and read for longer than it ran.
 */
export function activityStatement(
  shape: SchemaShape,
  sources: readonly ActivitySource[],
  chosen?: (source: ActivitySource) => ChosenEvents,
): string {
  const branches = sources.map((source) => `(${sourceStatement(shape, source, chosen?.(source))})`);
  return `SELECT * FROM (${branches.join('\nUNION ALL\n')}) AS event ORDER BY at_ms DESC LIMIT $3`;
}

/** Events of a source that a filter chooses, as conditions. */
export type ChosenEvents = {
  /** An index may answer these. */
  indexed: readonly string[];
  /** These are looked for in so many rows at most, the newest. */
  others: readonly string[];
};

/** A filter that no index answers is looked for in so many rows of a source at most. */
export const mostEventsLookedAt = 200_000;

function sourceStatement(
  shape: SchemaShape,
  { kind, table, at }: ActivitySource,
  chosen: ChosenEvents = { indexed: [], others: [] },
): string {
  const column = (name: string, type: string) => columnOrNull(shape, table, name, type);
  const values = selectedOf(kind, column);
  const inTime = `${at} >= to_timestamp($1::float8) AND ${at} < to_timestamp($4::float8)`;
  const isNew = (xmin: string) => `($2::text IS NULL OR age(${xmin}) <= age($2::text::xid))`;
  const { indexed, others } = chosen;
  const isLookedFor = others.length > 0;
  const xmin = isLookedFor ? 'row_xmin' : 'xmin';
  const from = isLookedFor
    ? `(SELECT xmin AS row_xmin, * FROM ${table} WHERE ${[inTime, ...indexed].join(' AND ')}
  ORDER BY ${at} DESC LIMIT ${mostEventsLookedAt}) AS looked_at
WHERE ${[isNew(xmin), ...others].join('\n  AND ')}`
    : `${table}
WHERE ${[inTime, isNew(xmin), ...indexed].join('\n  AND ')}`;
  return `
SELECT
  '${kind}' AS kind,
  id::text AS id,
  ${kind === 'trace' ? 'id' : 'trace_id'}::text AS trace_id,
  ${kind === 'trace' ? column('session_id', 'uuid') : 'NULL::uuid'}::text AS session_id,
  ${xmin}::text AS version,
  date_part('epoch', ${at}) * 1000 AS at_ms,
  ${boundedText(values.status, 100)} AS status,
  (${values.duration})::bigint AS duration_ms,
  ${boundedText(values.title, 100)} AS title,
  (SELECT ${boundedText('made.text', 300)} FROM (SELECT ${values.text} AS text OFFSET 0) AS made) AS text
FROM ${from}
ORDER BY ${at} DESC
LIMIT $3`;
}

type Selected = { status: string; duration: string; title: string; text: string };

export function selectedOf(
  kind: ActivityKind,
  column: (name: string, type: string) => string,
): Selected {
  const duration = column('duration_ms', 'bigint');
  switch (kind) {
    case 'trace':
      return {
        status: 'status',
        duration,
        title: column('source', 'text'),
        text: `COALESCE(${boundedText(column('error_type', 'text'), 200)} || ': ', '') || COALESCE(${boundedText(column('prompt_text', 'text'), 300)}, '')`,
      };
    case 'routing':
      return {
        status: 'NULL::text',
        duration: column('decision_duration_ms', 'bigint'),
        title: 'agent_selected',
        text: `concat_ws(' ', round(100 * ${column('confidence_score', 'numeric')})::text || '%', ${column('routing_strategy', 'text')}, ${boundedText(column('selection_reason', 'text'), 200)})`,
      };
    case 'hook':
      return {
        status: column('status', 'text'),
        duration: knownDuration(column, 'metadata'),
        title: 'hook_name',
        text: `concat_ws(' ', ${column('hook_type', 'text')}, ${column('tool_name', 'text')}, COALESCE(${toolInputText(column)}, ${boundedText(column('file_path', 'text'), 200)}), ${boundedText(column('error_type', 'text'), 200)})`,
      };
    case 'call': {
      const success = column('success', 'boolean');
      return {
        status: `CASE ${success} WHEN true THEN 'completed' WHEN false THEN 'failed' ELSE 'in_progress' END`,
        duration: knownDuration(column, 'context'),
        title: 'service_name',
        text: `concat_ws(' ', ${column('http_method', 'text')}, ${boundedText(column('endpoint_url', 'text'), 200)}, ${column('status_code', 'integer')}, ${boundedText(column('error_type', 'text'), 200)})`,
      };
    }
  }
}

/** How far back was looked, where that is not the whole window. `$1`, `$2`: the window. */
export async function lookedBackTo(
  tx: Queryable,
  sources: readonly ActivitySource[],
  values: readonly unknown[],
): Promise<string[]> {
  const notes: string[] = [];
  for (const { table, at } of sources) {
    const { rows } = await tx.query<{ at_ms: number }>(
      `SELECT date_part('epoch', ${at}) * 1000 AS at_ms FROM ${table}
WHERE ${at} >= to_timestamp($1::float8) AND ${at} < to_timestamp($2::float8)
ORDER BY ${at} DESC OFFSET ${mostEventsLookedAt - 1} LIMIT 1`,
      values,
    );
    const [row] = rows;
    if (!row) continue;
    const most = formatCount(mostEventsLookedAt);
    notes.push(`of ${table} the newest ${most}, back to ${formatClock(new Date(row.at_ms))}`);
  }
  return notes;
}

/** A condition over a row; `isIndexed`: an index may answer it. */
export type Condition = { sql: string; isIndexed?: true };

export const none: Condition = { sql: 'false' };

export function ofAgent(
  agent: Condition,
  kind: ActivitySource['kind'],
  shape: SchemaShape,
  inTime: string,
): Condition {
  if (agent.sql === 'false' || !hasColumn(shape, 'agent_routing_decisions', 'trace_id'))
    return none;
  const id = kind === 'trace' ? 'id' : 'trace_id';
  return {
    sql: `${id} IN (SELECT trace_id FROM agent_routing_decisions WHERE ${agent.sql}${inTime})`,
    isIndexed: true,
  };
}

const statuses = ['in_progress', 'completed', 'failed', 'cancelled', 'timeout'];

/** By values, so that the indexes of failures and of what runs are used. */
export function statusCondition(
  kind: ActivitySource['kind'],
  hasText: (status: string) => boolean,
  holds: (expression: string) => string,
  status: string,
  parameters: Parameters,
): Condition {
  const meant = statuses.filter(hasText);
  if (kind === 'routing') return none;
  if (kind === 'call' || meant.length === 0) {
    return meant.length === 1 && meant[0] === 'failed'
      ? { sql: 'success = false', isIndexed: true }
      : { sql: holds(status) };
  }
  return { sql: `status = ANY (${parameters.add(meant)}::text[])`, isIndexed: true };
}

/** An id that begins with these hexadecimal digits. */
export function idRange(column: string, text: string, parameters: Parameters): Condition {
  const digits = text.replaceAll('-', '').toLowerCase();
  if (!/^[0-9a-f]{4,32}$/.test(digits)) return none;
  const value = `${parameters.add(digits)}::text`;
  return {
    sql: `${column} BETWEEN rpad(${value}, 32, '0')::uuid AND rpad(${value}, 32, 'f')::uuid`,
    isIndexed: true,
  };
}
