import { formatSpan } from '../../shared/format/duration.js';
import { formatCount } from '../../shared/format/number.js';
import { erasedList, type Opening } from '../opening.js';
import type { Column } from '../pane.js';
import {
  mostPromptsSearched,
  mostTracesListed,
  tracesListedStatement,
  type ListedTraceRow,
  type TracesOf,
} from '../statements/traces-listed.js';
import { windowValues } from '../statements/window.js';
import { statusTone } from '../trace-status.js';
import { formatMoment } from '../../shared/format/time.js';
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
    async read({ shape, windowMs, untilMs, read }) {
      const rows = await read<ListedTraceRow>(tracesListedStatement(shape, of), [
        valueOf(of),
        mostTracesListed,
        ...windowValues({ windowMs, untilMs }),
      ]);
      const failed = rows.filter(({ status }) => statusTone(status) === 'error').length;
      const span = placeOf(of, windowMs, untilMs);
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
        empty: emptyOf(of),
        asOf: new Date((isOfWindow(of) ? untilMs : undefined) ?? rows[0]?.now_ms ?? Date.now()),
        open: ({ id }) => traceOpening(id),
        copy: (row) => row.correlation_id ?? row.id,
      });
    },
  };
}

/** The trace whose correlation id begins with these hexadecimal digits; a list where there are several. */
export function traceOfPrefixOpening(digits: string): Opening {
  const title = `Traces ${digits}…`;
  return {
    title,
    async read(access) {
      const found = await tracesOpening(title, { by: 'prefix', digits }).read(access);
      if (found.kind !== 'list' || found.rows.length !== 1) return found;
      const [only] = found.rows;
      return (only && (await found.open?.(only)?.read(access))) ?? found;
    },
  };
}

/** The others may be of any time. */
function isOfWindow({ by }: TracesOf): boolean {
  return by !== 'session' && by !== 'prefix';
}

/** Where was looked: a search says how far it went. */
function placeOf({ by }: TracesOf, windowMs: number, untilMs: number | undefined): string {
  const end = untilMs === undefined ? '' : ` before ${formatMoment(new Date(untilMs))}`;
  const span = `in ${formatSpan(windowMs)}${end}`;
  switch (by) {
    case 'session':
      return 'of the session';
    case 'prefix':
      return 'that begin so';
    case 'prompt':
      return `among the newest ${formatCount(mostPromptsSearched)} prompts at most ${span}`;
    default:
      return span;
  }
}

function emptyOf({ by }: TracesOf): string {
  if (by === 'session') return 'There is no trace of this session here; it may have been archived.';
  if (by === 'prefix') return 'No correlation id begins so; the trace may have been archived.';
  return 'There is none in this window. Choose a longer one with :window in the panes.';
}

function valueOf(of: TracesOf): string {
  switch (of.by) {
    case 'status':
      return of.status;
    case 'agent':
      return of.agent;
    case 'session':
      return of.sessionId;
    case 'prefix':
      return of.digits;
    case 'prompt':
      return `%${of.text.replace(/[\\%_]/g, '\\$&')}%`;
  }
}
