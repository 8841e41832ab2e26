import { erasedList, type Opening } from './opening.js';
import type { Column } from './pane.js';
import { slowestHooksStatement, type SlowestHookRow } from './statements/slowest-hooks.js';
import { eventKey } from './trace/event.js';
import { traceOpening } from './trace/trace-opening.js';
import { statusTone } from './trace-status.js';

const columns: readonly Column<SlowestHookRow>[] = [
  {
    id: 'durationMs',
    title: 'took',
    align: 'right',
    format: 'duration',
    value: (row) => row.duration_ms,
    priority: 1,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'age',
    title: 'ago',
    align: 'right',
    format: 'age',
    value: (row) => row.started_at,
    tone: () => 'muted',
    priority: 2,
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
    id: 'type',
    title: 'type',
    align: 'left',
    format: 'text',
    value: (row) => row.hook_type,
    tone: () => 'muted',
    priority: 4,
    minWidth: 11,
    maxWidth: 16,
  },
  {
    id: 'text',
    title: 'error or file',
    align: 'left',
    format: 'text',
    value: (row) =>
      [row.error_type, row.error_message ?? row.file_path].filter((part) => part).join(': '),
    tone: (row) => (row.error_type === null ? 'muted' : 'error'),
    priority: 1,
    minWidth: 15,
  },
  {
    id: 'exitCode',
    title: 'exit',
    align: 'right',
    format: 'count',
    value: (row) => row.exit_code,
    priority: 5,
    minWidth: 4,
    maxWidth: 4,
  },
];

/** The slowest calls of a hook with a tool in the window; Enter on one opens its trace, at the call. */
export function slowestHooksOpening(hook: string, tool: string | null): Opening {
  const title = `Slowest calls: ${hook}${tool === null ? '' : ` (${tool})`}`;
  return {
    title,
    async read({ shape, windowMs, read }) {
      const rows = await read<SlowestHookRow>(slowestHooksStatement(shape), [
        windowMs / 1000,
        hook,
        tool,
      ]);
      return erasedList<SlowestHookRow>({
        kind: 'list',
        title,
        columns,
        rows,
        rowKey: ({ id, started_at: startedAt }) => id ?? startedAt?.toISOString() ?? '',
        summary: [],
        empty: 'It did not run in this window. Choose a longer one with w in the panes.',
        asOf: new Date(rows[0]?.now_ms ?? Date.now()),
        open: ({ id, trace_id: traceId }) =>
          traceId === null || id === null
            ? undefined
            : traceOpening(traceId, { select: eventKey('hook', id) }),
        copy: (row) => row.trace_id ?? '',
      });
    },
  };
}
