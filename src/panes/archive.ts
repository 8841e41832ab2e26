import { archiveCommand } from '../maintenance/archive/archive-traces.js';
import { formatTimestamp } from '../core/format/time.js';
import { archivedTables, archiveOf } from '../core/tables.js';
import type { Queryable } from '../db/queryable.js';
import {
  ageColumn,
  countColumn,
  durationColumn,
  textColumn,
  type Tone,
} from './contract/column.js';
import {
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  usualLimits,
} from './contract/pane.js';
import { recordOpening } from './reading/record.js';
import { type ServerNowRow, serverNowStatement } from './reading/windows.js';
import { traceOpening } from './trace/trace-opening.js';
import { boundedText, secondsBetween } from '../db/quote.js';

/** An archived tree, told by its root, or by its first trace where the root's row is not archived. */
type ArchivedTree = {
  root: string;
  /** Of the trace that the tree is told by. */
  id: string;
  traces: number;
  startedAt: Date;
  /** From the first start to the last end, milliseconds; null while none is known. */
  tookMs: number | null;
  status: string;
  source: string;
  project: string | null;
  user: string | null;
  /** The beginning of it. */
  prompt: string | null;
  /** Null in an archive made by hand, before it is completed. */
  archivedAt: Date | null;
};

/** Without a search only this many traces a shown tree are looked at: they come from the index by time. */
const tracesATree = 25;

const searched = `
  position(lower($2) IN lower(t.prompt_text)) > 0 OR position(lower($2) IN lower(t.error_message)) > 0
  OR $2 IN (t.id::text, t.correlation_id::text, t.root_id::text, t.session_id::text, t.user_id, t.project, t.status, t.source)
  OR $2 = ANY (t.tags)`;

/** What an archive made by hand may lack: NULL there. */
const optional = {
  completed_at: 'timestamptz',
  archived_at: 'timestamptz',
  project: 'text',
  user_id: 'text',
  prompt_text: 'text',
} as const;

/**
 * Archived trees, the newest first.
 *
 * @param columns those of the archive of traces, where some may lack; default: all are there
 * @param search in any of their traces: part of prompt or error message; a whole id, user, project,
 * status, source or tag. It reads the whole archive.
 */
export async function listTrees(
  tx: Queryable,
  limit: number,
  search?: string,
  columns?: ReadonlySet<string>,
): Promise<ArchivedTree[]> {
  const column = (name: keyof typeof optional) =>
    columns === undefined || columns.has(name) ? name : `NULL::${optional[name]}`;
  const { rows } = await tx.query<ArchivedTree>(
    `WITH root AS MATERIALIZED (
       SELECT root_id, max(started_at) AS newest FROM (
         SELECT t.root_id, t.started_at FROM execution_traces_archive AS t
         WHERE ${search === undefined ? '$2::text IS NULL' : searched}
         ORDER BY t.started_at DESC ${search === undefined ? `LIMIT $1 * ${tracesATree}` : ''}
       ) AS found
       GROUP BY root_id ORDER BY newest DESC LIMIT $1
     )
     SELECT root.root_id AS root, top.id, tree.traces, tree.started_at AS "startedAt",
       round(1000 * ${secondsBetween('tree.started_at', 'tree.ended_at')}) AS "tookMs",
       top.status, top.source, ${column('project')} AS project, ${column('user_id')} AS "user",
       ${boundedText(column('prompt_text'), 300)} AS prompt, ${column('archived_at')} AS "archivedAt"
     FROM root
     CROSS JOIN LATERAL (
       SELECT count(*) AS traces, min(started_at) AS started_at, max(${column('completed_at')}) AS ended_at
       FROM execution_traces_archive AS t WHERE t.root_id = root.root_id) AS tree
     CROSS JOIN LATERAL (
       SELECT t.* FROM execution_traces_archive AS t WHERE t.root_id = root.root_id
       ORDER BY t.correlation_id = t.root_id DESC, t.started_at, t.id LIMIT 1) AS top
     ORDER BY tree.started_at DESC, root.root_id`,
    [limit, search ?? null],
  );
  return rows;
}

type ArchiveExtras = { shown: number };

/** Older ones are found by `trace-console archive list`. */
const mostTrees = 200;

class ArchiveReader implements PaneReader<ArchivedTree, ArchiveExtras> {
  async read(request: ReadRequest): Promise<PaneResult<ArchivedTree, ArchiveExtras>> {
    return request.transaction(async (tx) => {
      const now = await tx.query<ServerNowRow>(serverNowStatement);
      const rows = await listTrees(
        tx,
        mostTrees,
        undefined,
        request.shape.relations.get(table)?.columns,
      );
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(now.rows[0]?.now_ms ?? Date.now()),
        notes: rows.length === mostTrees ? [`only the newest ${mostTrees} trees`] : [],
      };
    });
  }
}

function statusTone({ status }: ArchivedTree): Tone {
  if (status === 'completed') return 'success';
  return status === 'failed' || status === 'timeout' ? 'error' : 'warning';
}

const table = archiveOf(archivedTables[0]);

export const archive: Pane<ArchivedTree, ArchiveExtras, 'archive'> = {
  id: 'archive',
  title: 'Archive',
  question: 'Which trees of traces are in the archive, to be looked at, restored or purged?',
  rowsAre: 'archived trace',
  needs: {
    [table]: {
      required: ['id', 'correlation_id', 'root_id', 'source', 'status', 'started_at'],
      optional: ['completed_at', 'archived_at', 'project', 'user_id', 'prompt_text'],
    },
  },
  windowed: false,
  minIntervalMs: 10_000,
  limits: usualLimits,
  columns: [
    {
      id: 'startedAt',
      title: 'started',
      align: 'left',
      format: 'timestamp',
      value: ({ startedAt }) => startedAt,
      priority: 1,
      minWidth: 19,
      maxWidth: 19,
    },
    textColumn({
      id: 'status',
      title: 'status',
      value: ({ status }) => status,
      tone: statusTone,
      priority: 2,
      minWidth: 9,
      maxWidth: 11,
    }),
    countColumn({
      id: 'traces',
      title: 'traces',
      value: ({ traces }) => traces,
      priority: 2,
    }),
    durationColumn({
      id: 'tookMs',
      title: 'took',
      value: ({ tookMs }) => tookMs,
      priority: 4,
    }),
    textColumn({
      id: 'project',
      title: 'project',
      value: ({ project }) => project,
      tone: () => 'muted',
      priority: 5,
      minWidth: 8,
      maxWidth: 20,
    }),
    textColumn({
      id: 'prompt',
      title: 'prompt',
      value: ({ prompt, source }) => prompt ?? source,
      priority: 1,
      minWidth: 16,
    }),
    ageColumn({
      id: 'archivedAt',
      title: 'archived',
      value: ({ archivedAt }) => archivedAt,
      tone: () => 'muted',
      priority: 3,
    }),
  ],
  sorts: [
    { id: 'newest', title: 'newest', direction: 'desc', value: ({ startedAt }) => startedAt },
    { id: 'traces', title: 'most traces', direction: 'desc', value: ({ traces }) => traces },
    { id: 'longest', title: 'longest', direction: 'desc', value: ({ tookMs }) => tookMs },
    {
      id: 'archived',
      title: 'archived last',
      direction: 'desc',
      value: ({ archivedAt }) => archivedAt,
    },
  ],
  rowKey: ({ root }) => root,
  idOf: ({ id }) => id,
  empty: `Nothing was archived yet; :${archiveCommand.id} moves traces older than 90 days.`,
  createReader: () => new ArchiveReader(),
  summary: ({ rows }) => {
    const [newest] = rows;
    if (!newest) return [];
    return [
      [
        { text: `the newest ${rows.length} archived trees` },
        { text: `up to ${formatTimestamp(newest.startedAt)}`, tone: 'muted' },
      ],
    ];
  },
  detail: ({ id, root }) =>
    traceOpening(id, { otherwise: recordOpening(`Archived trace ${root}`, table, id) }),
};
