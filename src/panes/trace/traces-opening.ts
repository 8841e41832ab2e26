import { formatSpan } from '../../shared/format/duration.js';
import { formatCount } from '../../shared/format/number.js';
import { erasedList, type Opening } from '../opening.js';
import type { Column } from '../pane.js';
import {
  mostTracesListed,
  tracesListedStatement,
  type ListedTraceRow,
  type TracesOf,
} from '../statements/traces-listed.js';
import { statusTone } from '../trace-status.js';
import { traceOpening } from './trace-opening.js';

const columns: readonly Column<ListedTraceRow>[] = [
  {
    id: 'started',
    title: 'started',
    align: 'left',
    format: 'timestamp',
    value: (row) => row.started_at,
    tone: () => 'muted',
    priority: 5,
    minWidth: 19,
    maxWidth: 19,
  },
  {
    id: 'age',
    title: 'ago',
    align: 'right',
    format: 'age',
    value: (row) => row.started_at,
    priority: 1,
    minWidth: 4,
    maxWidth: 4,
  },
  {
    id: 'status',
    title: 'status',
    align: 'left',
    format: 'text',
    value: ({ status }) => status,
    tone: ({ status }) => statusTone(status),
    priority: 1,
    minWidth: 11,
    maxWidth: 11,
  },
  {
    id: 'durationMs',
    title: 'took',
    align: 'right',
    format: 'duration',
    value: (row) => row.duration_ms,
    priority: 2,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'source',
    title: 'source',
    align: 'left',
    format: 'text',
    value: ({ source }) => source,
    tone: () => 'accent',
    priority: 3,
    minWidth: 11,
    maxWidth: 18,
  },
  {
    id: 'project',
    title: 'project',
    align: 'left',
    format: 'text',
    value: ({ project }) => project,
    tone: () => 'muted',
    priority: 6,
    minWidth: 10,
    maxWidth: 20,
  },
  {
    id: 'text',
    title: 'error or prompt',
    align: 'left',
    format: 'text',
    value: ({ error_type: error, text }) => (error === null ? text : `${error}: ${text ?? ''}`),
    tone: ({ error_type: error }) => (error === null ? 'muted' : 'error'),
    priority: 1,
    minWidth: 15,
  },
  {
    id: 'correlationId',
    title: 'correlation id',
    align: 'left',
    format: 'text',
    value: (row) => row.correlation_id,
    tone: () => 'muted',
    priority: 7,
    minWidth: 36,
    maxWidth: 36,
  },
];

/** The newest traces of a status, an agent or a session; Enter on one opens its tree. */
export function tracesOpening(title: string, of: TracesOf): Opening {
  return {
    title,
    async read({ shape, windowMs, read }) {
      const rows = await read<ListedTraceRow>(tracesListedStatement(shape, of), [
        valueOf(of),
        mostTracesListed,
        windowMs / 1000,
      ]);
      const failed = rows.filter(({ status }) => statusTone(status) === 'error').length;
      const span = of.by === 'session' ? 'of the session' : `in ${formatSpan(windowMs)}`;
      const isCut = rows.length === mostTracesListed;
      return erasedList<ListedTraceRow>({
        kind: 'list',
        title,
        columns,
        rows,
        rowKey: ({ id }) => id,
        summary: [
          { text: `${isCut ? 'the newest ' : ''}${formatCount(rows.length)} ${span}` },
          ...(failed > 0 && of.by !== 'status'
            ? [{ text: `${formatCount(failed)} failed`, tone: 'error' as const }]
            : []),
        ],
        empty:
          of.by === 'session'
            ? 'There is no trace of this session here; it may have been archived.'
            : 'There is none in this window. Choose a longer one with w in the panes.',
        asOf: new Date(rows[0]?.now_ms ?? Date.now()),
        open: ({ id }) => traceOpening(id),
        copy: (row) => row.correlation_id ?? row.id,
      });
    },
  };
}

function valueOf(of: TracesOf): string {
  switch (of.by) {
    case 'status':
      return of.status;
    case 'agent':
      return of.agent;
    case 'session':
      return of.sessionId;
  }
}
