import { ConsoleError } from '../../db/errors.js';
import { archiveOf, type ArchivedTable } from '../../core/tables.js';
import { recordOpening } from '../reading/record.js';
import type { DetailAccess, OpenedTrace, Opening } from '../contract/opening.js';
import { type TimelineKind, type TimelineRow, eventOf, eventTitle, kindWords } from './event.js';
import { buildTree, type TraceTree } from './tree.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';

const eventTables: Readonly<Record<TimelineKind, ArchivedTable>> = {
  trace: 'execution_traces',
  routing_decision: 'agent_routing_decisions',
  hook: 'hook_executions',
  endpoint_call: 'endpoint_calls',
};

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/**
 * The tree of a trace, live or archived, by its id or its correlation id.
 *
 * @throws ConsoleError `usage` for what is no id, `trace_missing` when there is no such trace
 */
export async function readTraceTree(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  id: string,
): Promise<TraceTree> {
  if (!uuid.test(id)) {
    throw new ConsoleError('usage', `"${id}" is no id of a trace.`, {
      hint: 'An id or a correlation id has 32 hexadecimal digits, as in the pane "activity".',
    });
  }
  if (!access.shape.relations.has('execution_traces')) {
    throw new ConsoleError('schema_missing', 'There is no table execution_traces.', {
      hint: 'Create it: trace-console schema apply; or name another schema with --schema.',
    });
  }
  const rows = await readRows(access, id);
  const [first] = rows;
  const isCut = rows.length > mostTimelineEvents;
  const tree =
    first &&
    buildTree(rows.slice(0, mostTimelineEvents).map(eventOf), {
      askedId: first.asked_id,
      nowUs: first.now_us,
      isCut,
    });
  if (tree) return tree;
  throw new ConsoleError('not_found', `There is no trace ${id}, neither live nor archived.`, {
    hint: 'It may have been purged, or row-level security hides it from this role.',
  });
}

async function readRows(access: Pick<DetailAccess, 'shape' | 'read'>, id: string) {
  try {
    return await access.read<TimelineRow>(traceTimelineStatement(access.shape), [
      id,
      mostTimelineEvents + 1,
    ]);
  } catch (error) {
    // 42883 no such function, 42703 one of other columns: a database deployed by hand.
    if (error instanceof ConsoleError && ['42883', '42703'].includes(error.sqlState ?? '')) {
      throw new ConsoleError(
        'schema_incompatible',
        'The function get_trace_timeline(uuid) is missing here, or another.',
        { cause: error, hint: 'trace-console schema apply --dry-run shows what is missing.' },
      );
    }
    throw error;
  }
}

export type TraceOpeningOptions = {
  /** Key of the event that is chosen first; default: the trace itself. */
  select?: string;
  /** Opened instead where the database cannot tell a trace's tree. */
  otherwise?: Opening;
};

/** The tree of a trace on one time axis. `id`: of the trace, or its correlation id. */
export function traceOpening(id: string, { select, otherwise }: TraceOpeningOptions = {}): Opening {
  return {
    title: 'Trace',
    async read(access) {
      try {
        return openedTrace(await readTraceTree(access, id), select);
      } catch (error) {
        const cannotTell =
          error instanceof ConsoleError &&
          ['schema_incompatible', 'schema_missing', 'privilege_missing'].includes(error.code);
        if (cannotTell && otherwise) return otherwise.read(access);
        throw error;
      }
    },
  };
}

function openedTrace(tree: TraceTree, select = tree.asked.event.key): OpenedTrace {
  return {
    kind: 'trace',
    title: `Trace ${tree.asked.event.correlationId}`,
    tree,
    select,
    open: (key) => {
      const event = tree.byKey.get(key)?.event;
      if (!event) return undefined;
      const table = eventTables[event.kind];
      return recordOpening(
        `${kindWords[event.kind]} ${eventTitle(event)}`,
        event.archived ? archiveOf(table) : table,
        event.id,
      );
    },
  };
}

/** More than anybody reads; a bound for what is fetched. */
export const mostTimelineEvents = 20_000;

/**
 * Every event of the tree of one trace, in time order. `$1`: the trace's id or its correlation id,
 * `$2`: how many events at most. About 10 ms for 1,000 events: the function reads by index.
 */
export function traceTimelineStatement(shape: SchemaShape): string {
  const tables = ['execution_traces', 'execution_traces_archive'].filter((table) =>
    shape.relations.has(table),
  );
  const found = tables.flatMap((table, rank) =>
    // A correlation id comes first: it is what people copy from logs.
    ['correlation_id', 'id'].map(
      (column, by) =>
        `SELECT id, correlation_id, ${columnOrNull(shape, table, 'session_id', 'uuid')} AS session_id, ${10 * rank + by} AS rank FROM ${table} WHERE ${column} = $1::uuid`,
    ),
  );
  const calls = modelCalls(shape);
  return `
SELECT
  round(extract(epoch FROM now()) * 1000000)::bigint AS now_us,
  asked.id AS asked_id,
  event.kind, event.id, event.trace_id, event.trace_correlation_id, event.parent_id, event.name, event.status,
  event.success,
  CASE WHEN isfinite(event.started_at) THEN round(extract(epoch FROM event.started_at) * 1000000)::bigint END
    AS started_us,
  event.offset_ms, event.duration_ms, event.archived,
  event.details || jsonb_strip_nulls(jsonb_build_object('session', CASE WHEN event.id = asked.id THEN asked.session_id END))${calls.details} AS details
FROM (
  SELECT id, correlation_id, session_id FROM (
    ${found.join('\n    UNION ALL ')}
  ) AS found ORDER BY rank LIMIT 1
) AS asked
CROSS JOIN LATERAL get_trace_timeline(asked.correlation_id) AS event${calls.join}
LIMIT $2`;
}

/** What calls of models have read, written and cost, by their primary key; the function of the timeline does not tell it. */
function modelCalls(shape: SchemaShape): { details: string; join: string } {
  const branches = ['endpoint_calls', 'endpoint_calls_archive'].flatMap((table, rank) =>
    hasColumn(shape, table, 'context')
      ? [
          `SELECT context FROM ${table} WHERE id = event.id AND event.kind = 'endpoint_call' AND event.archived = ${rank === 1}`,
        ]
      : [],
  );
  if (branches.length === 0) return { details: '', join: '' };
  return {
    details: ` || COALESCE(jsonb_strip_nulls(jsonb_build_object(
    'model', left(call.context ->> 'model', 200), 'uncached', call.context -> 'usage' -> 'input',
    'cache_read', call.context -> 'usage' -> 'cacheRead', 'cache_written', call.context -> 'usage' -> 'cacheCreation',
    'output', call.context -> 'usage' -> 'output', 'call_cost_usd', call.context -> 'cost' -> 'usd')), '{}')`,
    join: `
LEFT JOIN LATERAL (${branches.join('\n  UNION ALL ')}) AS call ON true`,
  };
}
