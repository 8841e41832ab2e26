import { formatCount, formatRate } from '../core/format/number.js';
import { ConsoleError } from '../db/errors.js';
import { durationColumn, textColumn, type Tone } from './contract/column.js';
import {
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  usualLimits,
} from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import {
  ActivityBuffer,
  type ActivityDatabaseRow,
  type ActivityExtras,
  type ActivityKind,
  type ActivityRow,
} from './reading/activity-buffer.js';
import { FilteredActivity } from './reading/activity-filter.js';
import {
  type ActivitySource,
  activitySources,
  activityStatement,
  eventRate,
  isUsable,
  lockNotes,
  readActivityState,
} from './reading/activity-statement.js';
import { fullRecord, recordOpening } from './reading/record.js';
import { eventKey, statusTone, type TimelineKind } from './trace/event.js';
import { traceOpening } from './trace/trace-opening.js';

/** Events kept. A busy minute has more; nobody reads a thousand lines a refresh. */
export const activityKept = 1_000;

/** Of a single reading, for a report, the newest will do. */
const shownOnce = 100;

/**
 * A tail that misses nothing it has room for, and shows nothing twice, whatever the order in which
 * transactions commit: what was written since the last reading is known by the transaction that wrote it,
 * not by its time (see {@link activityStatement}). An event older than everything kept has no room.
 */
class ActivityReader implements PaneReader<ActivityRow, ActivityExtras> {
  readonly #buffer = new ActivityBuffer(activityKept);
  /** By source: one that was locked goes on where it was read last. */
  readonly #openSince = new Map<ActivityKind, string>();
  readonly #readAtMs = new Map<ActivityKind, number>();
  #lastMs: number | undefined;
  /** When the oldest event of a brief reading began: what is older comes with the next one, and is not new. */
  #olderThanMs = -Infinity;
  #filtered: FilteredActivity | undefined;

  async read(request: ReadRequest): Promise<PaneResult<ActivityRow, ActivityExtras>> {
    const { shape } = request;
    const usable = activitySources.filter((source) => isUsable(source, shape));
    if (usable.length === 0) throw nothingToFollow(shape);
    if (request.filter !== undefined) {
      this.#filtered ??= new FilteredActivity(request.filter, activityKept);
      return this.#filtered.read(request, usable, missingNotes(shape));
    }
    if (request.untilMs !== undefined) return readPast(request, request.untilMs, usable);
    return request.transaction(async (tx) => {
      const state = await readActivityState(tx, shape.schema, usable);
      const { free } = state;
      const before = this.#buffer.seen;
      let gap = false;
      const isBrief = request.brief === true && this.#openSince.size === 0;
      const kept = request.exact || isBrief ? shownOnce : activityKept;
      for (const [openSince, sources] of this.#bySince(free)) {
        const { rows } = await tx.query<ActivityDatabaseRow>(activityStatement(shape, sources), [
          this.#buffer.beginsAtMs / 1000,
          openSince,
          kept,
          Infinity,
        ]);
        gap ||= openSince !== null && this.#hasGap(rows);
        this.#buffer.take(rows, this.#olderThanMs);
      }
      for (const { kind } of free) {
        // The next reading asks for what is older, too.
        if (!isBrief) this.#openSince.set(kind, state.open_since);
        this.#readAtMs.set(kind, state.now_ms);
      }
      const [oldest] = this.#buffer.rows();
      this.#olderThanMs = isBrief ? (oldest?.at.getTime() ?? -Infinity) : -Infinity;
      const perSecond = eventRate(this.#buffer.seen - before, this.#lastMs, state.now_ms);
      this.#lastMs = state.now_ms;
      const rows = request.exact ? this.#buffer.rows().slice(-shownOnce) : this.#buffer.rows();
      return {
        rows,
        extras: { seen: this.#buffer.seen, perSecond, gap },
        asOf: new Date(state.now_ms),
        notes: [
          ...(isBrief && rows.length >= shownOnce ? ['older events are being read'] : []),
          ...lockNotes(state, usable, rows, this.#readAtMs),
          ...missingNotes(shape),
        ],
      };
    });
  }

  /** After a reconnect, perhaps to another server: looks at everything once more; what is known stays. */
  reset(): void {
    this.#openSince.clear();
    this.#lastMs = undefined;
    this.#filtered?.reset();
  }

  /** The sources together that were last read together: one statement, but after a lock. */
  #bySince(sources: readonly ActivitySource[]): Map<string | null, ActivitySource[]> {
    const groups = new Map<string | null, ActivitySource[]>();
    for (const source of sources) {
      const since = this.#openSince.get(source.kind) ?? null;
      groups.set(since, [...(groups.get(since) ?? []), source]);
    }
    return groups;
  }

  #hasGap(rows: readonly ActivityDatabaseRow[]): boolean {
    return rows.length === activityKept && !rows.some(({ kind, id }) => this.#buffer.has(kind, id));
  }
}

/** The newest events of a window that has ended: nothing of it is followed. */
function readPast(
  request: ReadRequest,
  untilMs: number,
  sources: readonly ActivitySource[],
): Promise<PaneResult<ActivityRow, ActivityExtras>> {
  const { shape, windowMs, exact } = request;
  return request.transaction(async (tx) => {
    const fromMs = untilMs - windowMs;
    const found = await tx.query<ActivityDatabaseRow>(activityStatement(shape, sources), [
      fromMs / 1000,
      null,
      activityKept,
      untilMs / 1000,
    ]);
    const buffer = new ActivityBuffer(activityKept);
    buffer.take(found.rows);
    const all = buffer.rows();
    const most = exact ? shownOnce : activityKept;
    return {
      rows: all.slice(-most),
      extras: { seen: buffer.seen, perSecond: null, gap: false },
      asOf: new Date(untilMs),
      notes: [
        ...(all.length >= most
          ? [`only the newest ${formatCount(most)} events of the window`]
          : []),
        ...missingNotes(shape),
      ],
    };
  });
}

function nothingToFollow(shape: SchemaShape): ConsoleError {
  const exists = activitySources.some(({ table }) => shape.relations.has(table));
  return exists
    ? new ConsoleError('schema_incompatible', 'None of the tables with activity can be read.', {
        hint: 'The role may lack SELECT, or columns are missing: trace-console schema verify',
      })
    : new ConsoleError('schema_missing', `The schema "${shape.schema}" has no tables to follow.`, {
        hint: 'Create them: trace-console schema apply; or name another schema with --schema.',
      });
}

function missingNotes(shape: SchemaShape): string[] {
  return activitySources.flatMap((source) => {
    if (isUsable(source, shape)) return [];
    return [`${source.table} cannot be followed: it is missing, not readable, or of another shape`];
  });
}

const kindTones: Readonly<Record<ActivityKind, Tone | undefined>> = {
  trace: 'accent',
  routing: 'muted',
  hook: undefined,
  call: undefined,
};

export const activity: Pane<ActivityRow, ActivityExtras, 'activity'> = {
  id: 'activity',
  title: 'Activity',
  question: 'What is happening now?',
  needs: {},
  isInOverview: true,
  // Four tables with their indexes and statistics are looked up before the first row is.
  firstReadingMs: 45,
  layout: { height: 1.6 },
  isTail: true,
  showsEvents: true,
  windowed: false,
  looksBack: true,
  asksFilter: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: [
    {
      id: 'at',
      title: 'time',
      align: 'left',
      format: 'clock',
      value: ({ at }) => at,
      tone: () => 'muted',
      priority: 1,
      minWidth: 8,
      maxWidth: 14,
      isWhole: true,
    },
    textColumn({
      id: 'kind',
      title: 'kind',
      value: ({ kind }) => kind,
      tone: ({ kind }) => kindTones[kind],
      priority: 2,
      minWidth: 7,
      maxWidth: 7,
    }),
    textColumn({
      id: 'status',
      title: 'status',
      value: ({ status }) => status ?? '',
      tone: ({ status }) => statusTone(status),
      priority: 3,
      minWidth: 9,
      maxWidth: 11,
    }),
    durationColumn({
      id: 'durationMs',
      title: 'took',
      value: ({ durationMs }) => durationMs,
      priority: 4,
    }),
    textColumn({
      id: 'title',
      title: 'what',
      value: ({ title }) => title,
      priority: 1,
      minWidth: 12,
      maxWidth: 28,
    }),
    textColumn({
      id: 'text',
      title: 'detail',
      value: ({ text }) => text,
      tone: () => 'muted',
      priority: 2,
      minWidth: 12,
    }),
  ],
  fields: [
    { id: 'session', title: 'session', format: 'text', value: ({ within }) => within.session },
    { id: 'agent', title: 'agent', format: 'text', value: ({ within }) => within.agent },
    { id: 'trace', title: 'trace', format: 'text', value: ({ traceId }) => traceId },
    ...(['hook', 'tool', 'service', 'project', 'user'] as const).map((id) => ({
      id,
      title: id,
      format: 'text' as const,
      value: (row: ActivityRow) => namedBy(id, row),
    })),
  ],
  sorts: [{ id: 'at', title: 'newest last', direction: 'asc', value: ({ at }) => at }],
  rowKey: ({ kind, id }) => `${kind} ${id}`,
  idOf: ({ traceId, id }) => traceId ?? id,
  empty: 'Nothing was written yet.',
  hasExamples: true,
  createReader: () => new ActivityReader(),
  summary: ({ extras: { perSecond, gap } }) =>
    perSecond === null
      ? []
      : [
          [
            { text: `events ${gap ? 'over ' : ''}${formatRate(perSecond)}` },
            ...(gap ? [{ text: 'more came at once than is kept', tone: 'warning' as const }] : []),
          ],
        ],
  detail: ({ kind, id, title, traceId }, shape) => {
    const source = activitySources.find((candidate) => candidate.kind === kind);
    const table = source?.table ?? 'execution_traces';
    if (traceId === null) return fullRecord(`${kind} ${title}`, table, id, shape);
    return traceOpening(traceId, {
      select: eventKey(timelineKinds[kind], id),
      otherwise: recordOpening(`${kind} ${title}`, table, id),
    });
  },
};

/** While a filter is typed, and in a recording, rows are filtered by what they show. */
function namedBy(
  field: 'hook' | 'tool' | 'service' | 'project' | 'user',
  { kind, title, text }: ActivityRow,
): string | null {
  if (field === 'hook') return kind === 'hook' ? title : null;
  if (field === 'service') return kind === 'call' ? title : null;
  return field === 'tool' && kind === 'hook' ? text : null;
}

const timelineKinds: Readonly<Record<ActivityKind, TimelineKind>> = {
  trace: 'trace',
  routing: 'routing_decision',
  hook: 'hook',
  call: 'endpoint_call',
};
