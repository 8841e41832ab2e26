import { formatAge } from '../core/format/time.js';
import { formatCount } from '../core/format/number.js';
import {
  bytesColumn,
  durationColumn,
  textColumn,
  type Column,
  type Tone,
} from '../panes/contract/column.js';
import { fleetCadenceMs, type FleetFigures, type FleetMember } from './fleet.js';

/** Figures older than this are marked as old: two readings in a row did not come. */
const staleAfterMs = 2 * fleetCadenceMs + 1_000;
/** A standby that is so far behind shows old figures itself. */
const lagWarningMs = 10_000;

/** A line as it is drawn. */
export type FleetRow = FleetMember & {
  state: string;
  /** What is wrong with it. */
  problem: string;
  tone: Tone | undefined;
  /** The figures are old: the database has not answered since. */
  isOld: boolean;
};

/** @param nowMs this machine's clock, milliseconds since 1970 */
export function fleetRows(members: readonly FleetMember[], nowMs: number): FleetRow[] {
  return members.map((member) => {
    const { figures, readAtMs, error, waitsSinceMs } = member;
    const silentMs = waitsSinceMs === undefined ? 0 : nowMs - waitsSinceMs;
    const isOld = readAtMs !== undefined && nowMs - readAtMs > staleAfterMs;
    const isDown = error !== undefined || isOld;
    const age = readAtMs === undefined ? '' : `as of ${formatAge(nowMs - readAtMs)} ago; `;
    const problem = isDown
      ? `${age}${error?.message ?? `no answer for ${formatAge(silentMs)}`}`
      : '';
    if (isDown) return { ...member, state: 'down', problem, tone: 'error', isOld: true };
    if (!figures) {
      const problem = silentMs >= 1_000 ? `no answer for ${formatAge(silentMs)} yet` : '';
      return { ...member, state: 'connecting', problem, tone: 'muted', isOld: false };
    }
    const { standby, isOverdue, archiveAfter, tracesPerMinute } = figures;
    const overdue = isOverdue ? `traces older than ${archiveAfter ?? ''} are not archived` : '';
    const lacking = tracesPerMinute === null ? 'it has no traces that may be read' : '';
    const state = standby ? 'standby' : 'primary';
    const tone = standby ? undefined : ('success' as const);
    return { ...member, state, problem: overdue || lacking, tone, isOld: false };
  });
}

/** An old figure is shown muted, so that nobody takes it for a current one. */
function ofFigures<Value extends string | number | Date | null>(
  value: (figures: FleetFigures) => Value,
  tone?: (figures: FleetFigures) => Tone | undefined,
) {
  return {
    value: ({ figures }: FleetRow) => (figures ? value(figures) : null),
    tone: ({ figures, isOld }: FleetRow) => (isOld ? 'muted' : figures && tone?.(figures)),
  };
}

export const fleetColumns: readonly Column<FleetRow>[] = [
  textColumn({
    id: 'name',
    title: 'connection',
    priority: 1,
    minWidth: 10,
    maxWidth: 20,
    value: ({ name }) => name,
  }),
  textColumn({
    id: 'state',
    title: 'state',
    priority: 1,
    minWidth: 10,
    maxWidth: 10,
    value: ({ state }) => state,
    tone: ({ tone }) => tone,
  }),
  textColumn({
    id: 'alerts',
    title: 'alerts',
    priority: 2,
    minWidth: 8,
    maxWidth: 24,
    value: alertsText,
    tone: alertsTone,
  }),
  rateColumn('tracesPerMinute', 'traces/min'),
  rateColumn('failuresPerMinute', 'failures/min', (value) => (value ? 'error' : undefined)),
  bytesColumn({ id: 'bytes', title: 'size', priority: 3, ...ofFigures(({ bytes }) => bytes) }),
  {
    id: 'oldestAt',
    title: 'oldest',
    align: 'right',
    format: 'age',
    priority: 3,
    minWidth: 6,
    maxWidth: 6,
    ...ofFigures(
      ({ oldestAt }) => oldestAt,
      ({ isOverdue }) => (isOverdue ? 'warning' : undefined),
    ),
  },
  textColumn({
    id: 'archiveAfter',
    title: 'kept for',
    priority: 4,
    minWidth: 8,
    maxWidth: 10,
    ...ofFigures(({ archiveAfter }) => archiveAfter ?? 'ever'),
  }),
  durationColumn({
    id: 'lagMs',
    title: 'lag',
    priority: 3,
    ...ofFigures(
      ({ lagMs }) => lagMs,
      ({ lagMs }) => ((lagMs ?? 0) > lagWarningMs ? 'warning' : undefined),
    ),
  }),
  textColumn({
    id: 'version',
    title: 'version',
    priority: 5,
    minWidth: 7,
    maxWidth: 7,
    ...ofFigures(({ version }) => version.split(' ')[0] ?? version),
  }),
  textColumn({
    id: 'problem',
    title: 'problem',
    priority: 2,
    minWidth: 12,
    value: ({ problem }) => problem,
    tone: ({ isOld }) => (isOld ? 'error' : 'warning'),
  }),
];

/** Small rates keep one decimal, so that a single failed trace does not become 0. */
function rateColumn(
  id: 'tracesPerMinute' | 'failuresPerMinute',
  title: string,
  tone?: (value: number | null) => Tone | undefined,
): Column<FleetRow> {
  const text = (value: number | null) =>
    value !== null && value > 0 && value < 9.95 ? value.toFixed(1) : formatCount(value);
  return {
    id,
    title,
    align: 'right',
    format: 'text',
    priority: 1,
    minWidth: title.length,
    maxWidth: title.length,
    ...ofFigures(
      (figures) => text(figures[id]),
      (figures) => tone?.(figures[id]),
    ),
  };
}

function alertsText({ alerts }: FleetRow): string | null {
  if (alerts === undefined) return null;
  return alerts.length === 0 ? 'none' : alerts.join(', ');
}

function alertsTone({ alerts = [], isOld }: FleetRow): Tone | undefined {
  if (isOld || alerts.length === 0) return 'muted';
  return 'error';
}
