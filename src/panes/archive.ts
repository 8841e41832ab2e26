import {
  ageColumn,
  countColumn,
  durationColumn,
  textColumn,
  type Tone,
} from './contract/column.js';
import { listTrees, type ArchivedTree } from '../maintenance/archive/list-trees.js';
import { archiveOf, archivedTables } from '../core/tables.js';
import { formatTimestamp } from '../core/format/time.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import { recordOpening } from './reading/record.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';
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

export const archive: Pane<ArchivedTree, ArchiveExtras, 'archive'> = {
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
