import { textColumn, type CellContext, type Tone } from './contract/column.js';
import { readRuns, type Run, type RunState, readProgress } from '../maintenance/journal/run.js';
import { formatAge } from '../core/format/time.js';
import { formatShare } from '../core/format/number.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  namedCommands,
} from './contract/pane.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';

export type MaintenanceRunsExtras = { shown: number };

/** Older runs are found by `trace-console runs --limit`. */
const mostRuns = 200;

class MaintenanceRunsReader implements PaneReader<Run, MaintenanceRunsExtras> {
  async read(request: ReadRequest): Promise<PaneResult<Run, MaintenanceRunsExtras>> {
    return request.transaction(async (tx) => {
      const now = await tx.query<ServerNowRow>(serverNowStatement);
      const rows = await readRuns(tx, request.shape.schema, mostRuns);
      return {
        rows,
        extras: { shown: rows.length },
        asOf: new Date(now.rows[0]?.now_ms ?? Date.now()),
        notes: rows.length === mostRuns ? [`only the latest ${mostRuns} runs`] : [],
      };
    });
  }
}

const tones: Readonly<Record<RunState, Tone>> = {
  running: 'running',
  done: 'success',
  cancelled: 'warning',
  failed: 'error',
  crashed: 'error',
};

/** `archive: older than 90 days` */
function whatRan({ action, subject }: Run): string {
  return subject === null ? action : `${action}: ${subject}`;
}

/** The result of a run, or its progress. */
function whatCame(run: Run): string {
  if (run.state === 'running') return progressText(run);
  if (run.resumedBy !== null) return `taken up again by run ${run.resumedBy}`;
  if (run.state === 'crashed') return `died, ${progressText(run)}; can be resumed`;
  return run.summary ?? messageOf(run.error) ?? '';
}

function progressText(run: Run): string {
  const { phase, done, total } = readProgress(run.progress);
  const share =
    done !== undefined && total !== undefined && total > 0 ? ` ${formatShare(done / total)}` : '';
  return phase === '' ? 'beginning' : `${phase}${share}`;
}

function messageOf(error: unknown): string | undefined {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : undefined;
}

function tookMs({ startedAt, endedAt }: Run, { nowMs }: CellContext): number {
  return (endedAt?.getTime() ?? nowMs) - startedAt.getTime();
}

export const maintenanceRuns: Pane<Run, MaintenanceRunsExtras, 'maintenance-runs'> = {
  id: 'maintenance-runs',
  title: 'Maintenance',
  question: 'Who maintained what here, when and from where, and what came of it?',
  rowsAre: 'maintenance run',
  needs: {},
  windowed: false,
  minIntervalMs: 2_000,
  limits: usualLimits,
  columns: [
    {
      id: 'id',
      title: 'run',
      align: 'right',
      format: 'text',
      value: ({ id }) => id,
      tone: () => 'muted',
      priority: 3,
      minWidth: 4,
      maxWidth: 6,
    },
    {
      id: 'startedAt',
      title: 'started',
      align: 'left',
      format: 'timestamp',
      value: ({ startedAt }) => startedAt,
      tone: () => 'muted',
      priority: 4,
      minWidth: 19,
      maxWidth: 19,
    },
    textColumn({
      id: 'state',
      title: 'state',
      value: ({ state }) => state,
      tone: ({ state }) => tones[state],
      priority: 1,
      minWidth: 9,
      maxWidth: 9,
    }),
    textColumn({
      id: 'what',
      title: 'what',
      value: whatRan,
      priority: 1,
      minWidth: 12,
      maxWidth: 40,
    }),
    {
      id: 'took',
      title: 'took',
      align: 'right',
      format: 'duration',
      // A running one has its age in the column of its start.
      value: (run) => (run.endedAt === null ? null : tookMs(run, { nowMs: 0 })),
      priority: 3,
      minWidth: 6,
      maxWidth: 6,
    },
    textColumn({
      id: 'role',
      title: 'role',
      value: ({ role }) => role,
      tone: () => 'muted',
      priority: 6,
      minWidth: 8,
      maxWidth: 16,
    }),
    textColumn({
      id: 'from',
      title: 'from',
      value: ({ clientUser, clientHost }) =>
        [clientUser, clientHost].filter((part) => part !== null).join('@') || null,
      tone: () => 'muted',
      priority: 5,
      minWidth: 10,
      maxWidth: 24,
    }),
    textColumn({
      id: 'came',
      title: 'result',
      value: whatCame,
      priority: 2,
      minWidth: 14,
    }),
  ],
  sorts: [
    { id: 'newest', title: 'newest', direction: 'desc', value: ({ id }) => id },
    {
      id: 'longest',
      title: 'longest',
      direction: 'desc',
      value: (run) => tookMs(run, { nowMs: Date.now() }),
    },
    { id: 'state', title: 'state', direction: 'asc', value: ({ state }) => state },
  ],
  rowKey: ({ id }) => String(id),
  empty: `Nothing was maintained from a console yet; :${namedCommands.help} lists the keys that do.`,
  createReader: () => new MaintenanceRunsReader(),
  summary: ({ rows }, { nowMs }) => {
    const [latest] = rows;
    if (!latest) return [];
    const running = rows.filter(({ state }) => state === 'running').length;
    const dead = rows.filter(
      ({ state, resumedBy }) => state === 'crashed' && resumedBy === null,
    ).length;
    return [
      [
        { text: `${running} running`, tone: running > 0 ? 'running' : 'muted' },
        ...(dead > 0 ? [{ text: `${dead} crashed`, tone: 'error' as const }] : []),
        {
          text: `latest ${latest.action} ${formatAge(nowMs - latest.startedAt.getTime())} ago`,
          tone: 'muted',
        },
      ],
    ];
  },
  detail: ({ id, title }, { schema }) => ({
    title: `Run ${id}: ${title}`,
    text: 'SELECT * FROM trace_console.maintenance_runs WHERE id = $1 AND target_schema = $2',
    values: [id, schema],
  }),
};
