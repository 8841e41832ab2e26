import { listTrees, type ArchivedTree } from '../maintenance/archive/list-trees.js';
import { archiveOf, archivedTables } from '../shared/tables.js';
import { formatTimestamp } from '../shared/format/time.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type Tone,
} from './pane.js';
import { recordOpening } from './full-record.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';
import { traceOpening } from './trace/trace-opening.js';

export type ArchiveExtras = { shown: number };

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

export const archive: Pane<ArchivedTree, ArchiveExtras> = {
  id: 'archive',
  title: 'Archive',
  question: 'Which trees of traces are in the archive, to be looked at, restored or purged?',
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
    {
      id: 'status',
      title: 'status',
      align: 'left',
      format: 'text',
      value: ({ status }) => status,
      tone: statusTone,
      priority: 2,
      minWidth: 9,
      maxWidth: 11,
    },
    {
      id: 'traces',
      title: 'traces',
      align: 'right',
      format: 'count',
      value: ({ traces }) => traces,
      priority: 2,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'tookMs',
      title: 'took',
      align: 'right',
      format: 'duration',
      value: ({ tookMs }) => tookMs,
      priority: 4,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'project',
      title: 'project',
      align: 'left',
      format: 'text',
      value: ({ project }) => project,
      tone: () => 'muted',
      priority: 5,
      minWidth: 8,
      maxWidth: 20,
    },
    {
      id: 'prompt',
      title: 'prompt',
      align: 'left',
      format: 'text',
      value: ({ prompt, source }) => prompt ?? source,
      priority: 1,
      minWidth: 16,
    },
    {
      id: 'archivedAt',
      title: 'archived',
      align: 'right',
      format: 'age',
      value: ({ archivedAt }) => archivedAt,
      tone: () => 'muted',
      priority: 3,
      minWidth: 8,
      maxWidth: 8,
    },
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
  empty: 'Nothing was archived yet; :archive-traces moves traces older than 90 days.',
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
