import { ConsoleError } from '../../db/errors.js';
import { archiveOf, type ArchivedTable } from '../../core/tables.js';
import { nearestIdHint } from '../reading/names.js';
import { recordOpening } from '../reading/record.js';
import type { DetailAccess, OpenedTrace, Opening } from '../contract/opening.js';
import { type TimelineKind, eventTitle, kindWords } from './event.js';
import { readTimeline, type Timeline } from './timeline.js';
import { buildTree, type TraceTree } from './tree.js';

export const eventTables: Readonly<Record<TimelineKind, ArchivedTable>> = {
  trace: 'execution_traces',
  routing_decision: 'agent_routing_decisions',
  hook: 'hook_executions',
  endpoint_call: 'endpoint_calls',
};

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/**
 * The tree of a trace, live or archived, by its id or its correlation id.
 *
 * @param most so many of its events, the first by time; the tree says whether there are more
 * @throws ConsoleError `usage` for what is no id, `not_found` when there is no such trace
 */
export async function readTraceTree(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  id: string,
  most = mostTimelineEvents,
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
  const timeline = await readRows(access, id, most);
  const tree = timeline && buildTree(timeline.events, timeline);
  if (tree) return tree;
  throw new ConsoleError('not_found', `There is no trace ${id}, neither live nor archived.`, {
    hint: `${await nearestIdHint(access, 'trace', id)}It may have been purged, or row-level security hides it from this role.`,
  });
}

async function readRows(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  id: string,
  most: number,
): Promise<Timeline | undefined> {
  try {
    return await readTimeline(access, id, most);
  } catch (error) {
    // 42703, 42883: no such column, or one of another type; a database deployed by hand.
    if (error instanceof ConsoleError && ['42883', '42703'].includes(error.sqlState ?? '')) {
      throw new ConsoleError(
        'schema_incompatible',
        'The tables of the traces are others than the console knows.',
        { cause: error, hint: 'trace-console schema apply --dry-run shows what is missing.' },
      );
    }
    throw error;
  }
}

/** How many events are read for a program, and for a person at a time. */
export const mostTimelineEvents = 20_000;

/** How many events are read first: so many come within a moment, however large the tree is. */
const firstEvents = 2_000;

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
        return openedTrace(await readTraceTree(access, id, access.events ?? firstEvents), select);
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
