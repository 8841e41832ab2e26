import { groupBy } from '../core/values.js';
import type { Queryable } from '../db/queryable.js';
import { isEndTold } from './merge-hook.js';
import { courseOf, mergeCourse, type Course } from './merge.js';
import { courseFrom } from './patches.js';
import type { RowStore } from './row-store.js';
import { loadRows, type HookRow, type IngestTable, type TraceRow } from './rows.js';
import type { Session } from './session.js';
import { abandoned, settled } from './settle.js';

type Sessions = ReadonlyMap<string, Session>;

type HookSketch = Pick<
  HookRow,
  'id' | 'trace_id' | 'hook_type' | 'status' | 'started_at' | 'completed_at' | 'metadata'
>;

/**
 * What is found from all rows of a session at the end of a batch: to which turn a row belongs that was placed by
 * its time, sums of tokens and costs, and how each turn ended.
 */
export class SessionSettler {
  readonly #tx: Queryable;
  readonly #store: RowStore;
  readonly #sessions: Sessions;

  constructor(tx: Queryable, store: RowStore, sessions: Sessions) {
    this.#tx = tx;
    this.#store = store;
    this.#sessions = sessions;
  }

  /**
   * Gives what was placed by its time to the turn of that time: it may be another one now that turns were added, or that
   * more is known of their beginnings.
   */
  async placeAgain(): Promise<void> {
    const { rows } = this.#store;
    const sessions = [...this.#sessions.values()];
    const moved = sessions.filter((session) => session.adopt(rows.execution_traces));
    await this.#loadPlacedByTime(moved.filter(({ isNew }) => !isNew).map(({ id }) => id));
    const byId = new Map(sessions.map((session) => [session.id, session]));
    for (const trace of rows.execution_traces.values()) {
      const turn = byId.get(trace.session_id)?.turnAt(trace.started_at);
      if (trace.context.byTime !== true || turn === undefined || turn === trace.root_id) continue;
      const parent = trace.parent_id === trace.root_id ? turn : trace.parent_id;
      rows.execution_traces.set(trace.id, { ...trace, root_id: turn, parent_id: parent });
    }
    const byTurn = new Map(
      sessions.flatMap((session) => session.turnIds().map((id) => [id, session] as const)),
    );
    for (const row of rows.hook_executions.values()) {
      const turn = byTurn.get(row.trace_id)?.turnAt(row.started_at);
      if (row.metadata.byTime === true && turn !== undefined && turn !== row.trace_id)
        rows.hook_executions.set(row.id, { ...row, trace_id: turn });
    }
    for (const row of rows.endpoint_calls.values()) {
      const turn = byTurn.get(row.trace_id)?.turnAt(row.started_at);
      if (row.context.byTime === true && turn !== undefined && turn !== row.trace_id)
        rows.endpoint_calls.set(row.id, { ...row, trace_id: turn });
    }
    await this.#emptyStandIns();
  }

  /** Turns that stood in for others that are known now. */
  get #pastStandIns(): Session[] {
    return [...this.#sessions.values()].filter((session) => session.isStandInOver);
  }

  async #emptyStandIns(): Promise<void> {
    const past = new Map(this.#pastStandIns.map((session) => [session.standIn, session]));
    const { rows } = this.#store;
    const ids = [...past.keys()];
    for (const row of await loadRows(this.#tx, 'agent_routing_decisions', ids, 'trace_id'))
      this.#store.keep('agent_routing_decisions', row);
    for (const row of rows.agent_routing_decisions.values()) {
      const turn = past.get(row.trace_id)?.turnAt(row.created_at);
      if (turn !== undefined) rows.agent_routing_decisions.set(row.id, { ...row, trace_id: turn });
    }
    for (const id of ids) rows.execution_traces.delete(id);
  }

  /** After the rows were written: nothing is left in them. */
  async removeStandIns(): Promise<void> {
    const ids = this.#pastStandIns.map(({ standIn }) => standIn);
    if (ids.length === 0) return;
    await this.#tx.query('DELETE FROM execution_traces WHERE id = ANY($1::uuid[])', [ids]);
  }

  async #loadPlacedByTime(sessions: readonly string[]): Promise<void> {
    if (sessions.length === 0) return;
    const { rows } = await this.#tx.query<{ table: IngestTable; id: string }>(
      `SELECT 'hook_executions' AS table, c.id FROM hook_executions AS c
         JOIN execution_traces AS t ON t.id = c.trace_id
       WHERE t.session_id = ANY($1::uuid[]) AND c.metadata @> '{"byTime": true}'
       UNION ALL
       SELECT 'endpoint_calls', c.id FROM endpoint_calls AS c
         JOIN execution_traces AS t ON t.id = c.trace_id
       WHERE t.session_id = ANY($1::uuid[]) AND c.context @> '{"byTime": true}'
       UNION ALL
       SELECT 'execution_traces', id FROM execution_traces
       WHERE session_id = ANY($1::uuid[]) AND context @> '{"byTime": true}'`,
      [sessions],
    );
    for (const [table, found] of groupBy(rows, ({ table: name }) => name)) {
      await this.#store.load(
        table,
        found.map(({ id }) => id),
      );
    }
  }

  /** Sums and outcomes of the traces that this batch touched, and of those that are open beside them. */
  async settle(isStale = false): Promise<void> {
    await this.#loadTouched();
    const traces = this.#store.rows.execution_traces;
    await this.#settleTraces([...traces.keys()], isStale);
    // If a turn is open again, what was closed together with it is open again, too.
    const reopened = [...traces.values()].filter(({ id, parent_id: parent, status }) => {
      const before = this.#store.stored.execution_traces.get(id)?.status ?? status;
      return parent === null && status === 'in_progress' && before !== 'in_progress';
    });
    if (reopened.length === 0) return;
    const { rows: children } = await this.#tx.query<{ id: string }>(
      `SELECT id FROM execution_traces WHERE root_id = ANY($1::uuid[]) AND parent_id IS NOT NULL`,
      [reopened.map(({ id }) => id)],
    );
    const ids = children.map(({ id }) => id);
    await this.#store.load('execution_traces', ids);
    await this.#settleTraces(ids, isStale);
  }

  async #loadTouched(): Promise<void> {
    const { rows, stored } = this.#store;
    const sessions = [...this.#sessions.values()];
    const open = await this.#openTraces(sessions.filter(({ isNew }) => !isNew));
    const owners = [rows, stored].flatMap((store) =>
      [...store.hook_executions.values(), ...store.endpoint_calls.values()].map(
        ({ trace_id: id }) => id,
      ),
    );
    await this.#store.load('execution_traces', [
      ...open,
      ...sessions.flatMap((session) => session.unsettled()),
      ...owners,
    ]);
    await this.#store.load(
      'execution_traces',
      [...rows.execution_traces.values()].map(({ root_id: root }) => root),
    );
  }

  async #openTraces(sessions: readonly Session[]): Promise<string[]> {
    if (sessions.length === 0) return [];
    const { rows } = await this.#tx.query<{ id: string }>(
      `SELECT id FROM execution_traces WHERE status = 'in_progress' AND session_id = ANY($1::uuid[])`,
      [sessions.map(({ id }) => id)],
    );
    return rows.map(({ id }) => id);
  }

  async #settleTraces(ids: readonly string[], isStale: boolean): Promise<void> {
    const { rows, stored } = this.#store;
    const bySession = new Map([...this.#sessions.values()].map((session) => [session.id, session]));
    const known = ids.filter((id) => stored.execution_traces.has(id));
    for (const call of await loadRows(this.#tx, 'endpoint_calls', known, 'trace_id'))
      this.#store.keep('endpoint_calls', call);
    const tools = await this.#toolsOf(known);
    const calls = groupBy(rows.endpoint_calls.values(), ({ trace_id: id }) => id);
    const traces = ids
      .flatMap((id) => rows.execution_traces.get(id) ?? [])
      .toSorted((a, b) => Number(a.parent_id !== null) - Number(b.parent_id !== null));
    for (const found of traces) {
      const session = bySession.get(found.session_id);
      if (!session) continue;
      const trace = withRetiredEnds(found, session);
      const next = settled(trace, {
        course: courseWithLooseEnds(trace, session),
        calls: (calls.get(trace.id) ?? []).toSorted(
          (a, b) => a.started_at - b.started_at || (a.id < b.id ? -1 : 1),
        ),
        tools: tools.get(trace.id) ?? [],
        closedAt: this.#closedAt(trace, session, isStale),
      });
      rows.execution_traces.set(trace.id, next);
    }
    await this.#settleTools(new Set(ids), tools);
  }

  async #toolsOf(stored: readonly string[]): Promise<Map<string, HookSketch[]>> {
    const rows = stored.length === 0 ? [] : await this.#storedTools(stored);
    const all = new Map<string, HookSketch>(rows.map((row) => [row.id, row]));
    for (const row of this.#store.rows.hook_executions.values()) {
      if (row.hook_type === 'ToolUse') all.set(row.id, row);
    }
    return groupBy(all.values(), ({ trace_id: id }) => id);
  }

  async #storedTools(stored: readonly string[]): Promise<HookSketch[]> {
    const { rows } = await this.#tx.query<HookSketch>(
      `SELECT id, trace_id, hook_type, status, metadata,
         (extract(epoch FROM started_at) * 1000)::float8 AS started_at,
         (extract(epoch FROM completed_at) * 1000)::float8 AS completed_at
       FROM hook_executions WHERE trace_id = ANY($1::uuid[]) AND hook_type = 'ToolUse'`,
      [stored],
    );
    return rows;
  }

  #closedAt(trace: TraceRow, session: Session, isStale: boolean): number | undefined {
    if (trace.parent_id !== null) {
      const root = this.#store.rows.execution_traces.get(trace.root_id);
      if (root && root.status !== 'in_progress') return root.completed_at ?? undefined;
    }
    const next = trace.parent_id === null ? session.nextBegin(trace.id) : undefined;
    if (next !== undefined) return next;
    if (session.row.ended_at !== null) return session.row.ended_at;
    return isStale ? session.row.last_seen_at : undefined;
  }

  /** Tools whose end nobody told end with their trace, and run as long as it does. */
  async #settleTools(
    ids: ReadonlySet<string>,
    tools: ReadonlyMap<string, readonly HookSketch[]>,
  ): Promise<void> {
    const { rows } = this.#store;
    const untold = [...tools].flatMap(([traceId, list]) => {
      const isOpen = rows.execution_traces.get(traceId)?.status === 'in_progress';
      return !ids.has(traceId)
        ? []
        : list.filter((tool) => !isEndTold(tool) && !(isOpen && tool.status === 'in_progress'));
    });
    await this.#store.load(
      'hook_executions',
      untold.map(({ id }) => id),
    );
    for (const { id, trace_id: traceId } of untold) {
      const row = rows.hook_executions.get(id);
      const trace = rows.execution_traces.get(traceId);
      if (row && trace) rows.hook_executions.set(id, abandoned(row, trace));
    }
  }
}

/** Ends that named no turn belong to the turn of their time, which may be another one tomorrow. */
function courseWithLooseEnds(trace: TraceRow, session: Session): Course {
  if (trace.parent_id !== null) return courseOf(trace);
  return session.looseEnds
    .filter(({ at }) => session.turnAt(at) === trace.id)
    .reduce((course, event) => mergeCourse(course, courseFrom(event) ?? {}), courseOf(trace));
}

/** Those that are so old that they are not kept any longer are written into their turn. */
function withRetiredEnds(trace: TraceRow, session: Session): TraceRow {
  const retired = session.retired.filter(({ at }) => session.turnAt(at) === trace.id);
  if (trace.parent_id !== null || retired.length === 0) return trace;
  const turn = retired.reduce(
    (course, event) => mergeCourse(course, courseFrom(event) ?? {}),
    courseOf(trace),
  );
  return { ...trace, context: { ...trace.context, turn } };
}
