import { ConsoleError } from '../../db/errors.js';
import { formatCount } from '../../core/format/number.js';
import {
  ActivityBuffer,
  type ActivityExtras,
  type ActivityDatabaseRow,
  type ActivityKind,
  type ActivityRow,
} from './activity-buffer.js';
import type { PaneReader, PaneResult, ReadRequest } from '../contract/pane.js';
import type { SchemaShape } from '../contract/shape.js';
import {
  activitySources,
  activityStatement,
  activityStateStatement,
  isUsable,
  type ActivitySource,
  type ActivityStateRow,
} from './activity-statement.js';
import { FilteredActivity } from './activity-filter.js';

/** Events kept. A busy minute has more; nobody reads a thousand lines a refresh. */
export const activityKept = 1_000;

/** Of a single reading, for a report, the newest will do. */
const shownOnce = 100;

/**
 * A tail that misses nothing it has room for, and shows nothing twice, whatever the order in which
 * transactions commit: what was written since the last reading is known by the transaction that wrote it,
 * not by its time (see {@link activityStatement}). An event older than everything kept has no room.
 */
export class ActivityReader implements PaneReader<ActivityRow, ActivityExtras> {
  readonly #buffer = new ActivityBuffer(activityKept);
  /** By source: one that was locked goes on where it was read last. */
  readonly #openSince = new Map<ActivityKind, string>();
  #lastMs: number | undefined;
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
      const tables = usable.map(({ table }) => table);
      const states = await tx.query<ActivityStateRow>(activityStateStatement, [
        shape.schema,
        tables,
      ]);
      const [state] = states.rows;
      if (!state) throw new ConsoleError('internal', 'The server told no snapshot.');
      const free = usable.filter(({ table }) => !(table in state.locked));
      const before = this.#buffer.seen;
      let gap = false;
      for (const [openSince, sources] of this.#bySince(free)) {
        const { rows } = await tx.query<ActivityDatabaseRow>(activityStatement(shape, sources), [
          this.#buffer.beginsAtMs / 1000,
          openSince,
          activityKept,
          Infinity,
        ]);
        gap ||= openSince !== null && this.#hasGap(rows);
        this.#buffer.take(rows);
      }
      for (const { kind } of free) this.#openSince.set(kind, state.open_since);
      const perSecond =
        this.#lastMs === undefined
          ? null
          : (1000 * (this.#buffer.seen - before)) / Math.max(1, state.now_ms - this.#lastMs);
      this.#lastMs = state.now_ms;
      return {
        rows: request.exact ? this.#buffer.rows().slice(-shownOnce) : this.#buffer.rows(),
        extras: { seen: this.#buffer.seen, perSecond, gap },
        asOf: new Date(state.now_ms),
        notes: [...lockNotes(state.locked), ...missingNotes(shape)],
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

function lockNotes(locked: Readonly<Record<string, number>>): string[] {
  return Object.entries(locked).map(([table, pid]) => `${table} is locked by pid ${pid}`);
}

function missingNotes(shape: SchemaShape): string[] {
  return activitySources.flatMap((source) => {
    if (isUsable(source, shape)) return [];
    return [`${source.table} cannot be followed: it is missing, not readable, or of another shape`];
  });
}
