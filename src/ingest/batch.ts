import { ConsoleError } from '../db/errors.js';
import type { Transaction } from '../db/queryable.js';
import { openConsoleTable } from '../deploy/console-schema.js';
import type { AgentEvent } from './events.js';
import { callAliases } from './call-aliases.js';
import { decisionId, modelCallId, subagentId } from './ids.js';
import type { CopiedRow } from './otlp/decode.js';
import { without } from './join.js';
import { mergeHook, type HookPatch } from './merge-hook.js';
import { mergeCall, mergeTrace, type TracePatch } from './merge.js';
import {
  asOfTurn,
  type CleanEvent,
  contextFrom,
  courseFrom,
  hookPatch,
  placeColumns,
  routingRow,
} from './patches.js';
import type { RowCopier } from './copy-rows.js';
import { costOf, type Prices } from './prices.js';
import { type RetractedRow, RowStore, type TableKeys, type Written } from './row-store.js';
import { name, type CallRow, type DecisionRow, type IngestTable, type Json } from './rows.js';
import { saveSessions, Session } from './session.js';
import { SessionSettler } from './settle-sessions.js';

export type RecorderOptions = {
  /** What model calls cost; without it only reported costs are stored. */
  prices?: Prices | undefined;
  /** Longer texts are cut, with a mark (UTF-16 units); default 64 kB. */
  fieldLimit?: number | undefined;
};

type BatchOptions = Pick<RecorderOptions, 'prices'> & {
  /** An earlier batch has seen that the tables are there and may be written. */
  isOpen?: boolean;
  copier?: RowCopier | undefined;
  keys?: TableKeys;
};

/** One transaction's worth of events. */
export class Batch {
  readonly #store: RowStore;
  readonly #traces: TracePatch[] = [];
  readonly #hooks: HookPatch[] = [];
  readonly #calls: {
    event: Extract<AgentEvent, { kind: 'model_call' }>;
    id: string;
    traceId: string;
    byTime: boolean;
    toldAs?: string;
  }[] = [];
  readonly #decisions: DecisionRow[] = [];
  /** Of each trace the event that told last where it runs, and nothing else of it. */
  readonly #told = new Map<string, AgentEvent>();
  /** Ids of what is told of sessions that are new. */
  readonly #fresh = new Set<string>();
  readonly #tx: Transaction;
  readonly #schema: string;
  readonly #options: RecorderOptions;

  private constructor(tx: Transaction, schema: string, options: BatchOptions) {
    this.#tx = tx;
    this.#store = new RowStore(tx, options.copier, options.keys);
    this.#schema = schema;
    this.#options = options;
  }

  static async begin(tx: Transaction, schema: string, options: BatchOptions): Promise<Batch> {
    if (options.isOpen !== true && !(await openConsoleTable(tx, 'agent_sessions'))) {
      throw new ConsoleError(
        'privilege_missing',
        'The tables for sessions of agents cannot be written.',
        {
          hint: 'Grant CREATE on the database once, or USAGE and writing on the schema trace_console.',
        },
      );
    }
    return new Batch(tx, schema, options);
  }

  async record(
    events: readonly CleanEvent[],
    retracted: readonly RetractedRow[] = [],
    copies: readonly CopiedRow[] = [],
  ): Promise<Written> {
    const { sessions, waiting } = await Session.load(this.#tx, this.#schema, events);
    await this.#store.retract(retracted);
    // Waiting events had their secrets removed before they were stored.
    const all = [...waiting, ...events];
    for (const event of all) seeTurns(event, sessions.get(event.session));
    for (const session of sessions.values()) session.sort();
    for (const event of all) {
      const session = sessions.get(event.session);
      if (!session) continue;
      session.follow(asOfTurn(event));
      const [traces, hooks, calls, decisions] = this.#counts();
      this.#place(event, session);
      if (!session.isNew) continue;
      for (const { row } of this.#traces.slice(traces)) this.#fresh.add(row.correlation_id);
      for (const { row } of this.#hooks.slice(hooks)) this.#fresh.add(row.id);
      for (const { id } of this.#calls.slice(calls)) this.#fresh.add(id);
      for (const { id } of this.#decisions.slice(decisions)) this.#fresh.add(id);
    }
    for (const session of sessions.values())
      for (const event of session.takeOverdue()) this.#place(event, session);
    await this.#merge();
    const settler = new SessionSettler(this.#tx, this.#store, sessions);
    await settler.placeAgain();
    await settler.settle();
    const written = await this.#store.write();
    await settler.removeStandIns();
    await saveSessions(this.#tx, this.#schema, sessions.values());
    await this.#store.copy(copies, this.#schema, written);
    return written;
  }

  #counts(): [number, number, number, number] {
    const all = [this.#traces, this.#hooks, this.#calls, this.#decisions] as const;
    return all.map((each) => each.length) as [number, number, number, number];
  }

  async closeStale(before: number): Promise<number> {
    const { rows } = await this.#tx.query<{ agent: string; session: string; last: number }>(
      `SELECT s.agent, s.session, (extract(epoch FROM s.last_seen_at) * 1000)::float8 AS last
       FROM trace_console.agent_sessions AS s
       WHERE s.target_schema = $1 AND s.last_seen_at < to_timestamp($2::float8 / 1000)
         AND s.session_id IN (SELECT session_id FROM execution_traces WHERE status = 'in_progress')
       ORDER BY s.session_id LIMIT 100`,
      [this.#schema, before],
    );
    if (rows.length === 0) return 0;
    const events = rows.map(
      ({ agent, session, last }) =>
        ({ kind: 'note', event: 'Stale', source: 'hook', agent, session, at: last }) as const,
    );
    const { sessions } = await Session.load(this.#tx, this.#schema, events);
    await new SessionSettler(this.#tx, this.#store, sessions).settle(true);
    await this.#store.write();
    return rows.length;
  }

  /** The rows that an event tells of; a subagent's and a turn's own row beside them, so that none is an orphan. */
  #place(event: AgentEvent, session: Session): void {
    if (event.kind === 'session_started' || event.kind === 'session_ended') return;
    const turn =
      event.turn === undefined
        ? session.turnAt(event.at)
        : session.seeTurn(event.turn, event.at, false);
    if (event.turn === undefined && (event.kind === 'turn_ended' || event.kind === 'interrupted')) {
      if (event.subagent === undefined) {
        session.addLooseEnd(event);
        return;
      }
    }
    if (turn === undefined) {
      session.postpone(event);
      return;
    }
    // The event says nothing about a turn that was found by its time only.
    if (event.turn !== undefined || turn === session.standIn) this.#turnPatch(event, session, turn);
    const byTime = event.turn === undefined && event.subagent === undefined;
    const traceId =
      event.subagent === undefined
        ? turn
        : this.#subagentPatch(event, session, turn, event.subagent);
    switch (event.kind) {
      case 'model_call':
        this.#calls.push({ event, id: modelCallId(session.key, event.message), traceId, byTime });
        return;
      case 'subagent_started':
      case 'subagent_ended':
        this.#subagentPatch(event, session, turn, event.id);
        return;
      case 'routing':
        this.#decisions.push(routingRow(event, session, traceId));
        return;
      default: {
        const patch = hookPatch(event, session, traceId, byTime);
        if (patch) this.#hooks.push(patch);
      }
    }
  }

  /** Most events of a turn tell of it only what the one before has told, and later. */
  #isTold(trace: string, event: AgentEvent): boolean {
    const last = this.#told.get(trace);
    const isSame =
      last !== undefined &&
      event.at >= last.at &&
      event.place === last.place &&
      event.turn === last.turn &&
      event.source === last.source &&
      event.agent === last.agent;
    if (!isSame) this.#told.set(trace, event);
    return isSame;
  }

  #turnPatch(told: AgentEvent, session: Session, turn: string): void {
    const event = asOfTurn(told);
    const isOfTurn = event.subagent === undefined;
    const isPrompt = event.kind === 'prompt' && isOfTurn;
    const isEndOfTurn = isOfTurn && (event.kind === 'turn_ended' || event.kind === 'interrupted');
    if (!isPrompt && !isEndOfTurn && this.#isTold(turn, event)) return;
    this.#traces.push({
      from: event.source,
      at: event.at,
      beganAt: isPrompt ? event.at : undefined,
      placeLevel: 0,
      isMoved: event.isMoved,
      row: {
        correlation_id: turn,
        root_id: turn,
        session_id: session.id,
        source:
          isPrompt && event.origin !== undefined && event.origin !== 'user'
            ? name(event.origin)
            : 'user_prompt',
        ...placeColumns(event.place),
        ...(isPrompt && event.text !== undefined ? { prompt_text: event.text } : {}),
        ...(isPrompt && event.tags !== undefined ? { tags: event.tags } : {}),
      },
      course: isEndOfTurn ? courseFrom(event) : undefined,
      context: {
        ...contextFrom(event, session),
        ...(event.turn === undefined ? {} : { promptId: event.turn.slice(0, 512) }),
        ...(isPrompt && event.span ? { span: event.span } : {}),
      },
    });
  }

  #subagentPatch(event: AgentEvent, session: Session, turn: string, agent: string): string {
    const id = subagentId(session.key, agent);
    const isOwn =
      (event.kind === 'subagent_started' || event.kind === 'subagent_ended') && event.id === agent;
    const parent =
      isOwn && event.subagent !== undefined ? subagentId(session.key, event.subagent) : turn;
    const isStart = isOwn && event.kind === 'subagent_started';
    const prompt = isStart ? event.prompt : undefined;
    const course = isOwn || event.subagent === agent ? courseFrom(event) : undefined;
    if (!isOwn && course === undefined && this.#isTold(`${id} ${turn}`, event)) return id;
    this.#traces.push({
      from: event.source,
      at: event.at,
      beganAt: isStart ? event.at : undefined,
      placeLevel: event.turn === undefined ? 0 : isOwn ? 2 : 1,
      isMoved: isOwn && event.isMoved,
      row: {
        correlation_id: id,
        root_id: turn,
        parent_id: parent,
        session_id: session.id,
        source: name((isStart ? event.origin : undefined) ?? 'agent_delegation'),
        ...placeColumns(event.place),
        ...(prompt === undefined ? {} : { prompt_text: prompt }),
      },
      course,
      context: {
        ...contextFrom(event, session),
        agent_id: agent.slice(0, 512),
        ...(isStart && event.span ? { span: event.span } : {}),
        ...(isOwn && event.kind === 'subagent_ended' ? { subagent: totalsOf(event) } : {}),
      },
    });
    if (isOwn && event.type !== undefined) {
      this.#decisions.push({
        id: decisionId(session.key, agent),
        created_at: event.at,
        trace_id: id,
        query_text: prompt ?? null,
        agent_selected: name(event.type),
        confidence_score: 1,
        routing_strategy: 'delegation',
        selection_reason: isStart ? (event.description ?? null) : null,
        decision_duration_ms: null,
      });
    }
    return id;
  }

  async #merge(): Promise<void> {
    await this.#load(
      'execution_traces',
      this.#traces.map(({ row }) => row.correlation_id),
    );
    await this.#load(
      'hook_executions',
      this.#hooks.map(({ row }) => row.id),
    );
    const aliases = await callAliases(this.#tx, this.#calls, this.#fresh);
    const calls = this.#calls.map((call) => {
      const alias = aliases.get(call.id);
      return alias ? { ...call, ...alias } : call;
    });
    await this.#load(
      'endpoint_calls',
      calls.map(({ id }) => id),
    );
    await this.#load(
      'agent_routing_decisions',
      this.#decisions.map(({ id }) => id),
    );
    const { rows } = this.#store;
    for (const patch of this.#traces) {
      const id = patch.row.correlation_id;
      rows.execution_traces.set(id, mergeTrace(rows.execution_traces.get(id), patch));
    }
    for (const patch of this.#hooks) {
      const { id } = patch.row;
      rows.hook_executions.set(id, mergeHook(rows.hook_executions.get(id), patch));
    }
    for (const { event, id, traceId, byTime, toldAs } of calls) {
      const ids = { id, trace_id: traceId, byTime, toldAs };
      rows.endpoint_calls.set(id, mergeCall(rows.endpoint_calls.get(id), event, ids));
    }
    for (const id of new Set(calls.map((call) => call.id))) {
      const call = rows.endpoint_calls.get(id);
      if (call) rows.endpoint_calls.set(id, await this.#priced(call));
    }
    for (const row of this.#decisions) {
      const old = rows.agent_routing_decisions.get(row.id);
      rows.agent_routing_decisions.set(row.id, old ? completed(old, row) : row);
    }
  }

  /** Nothing is looked up for sessions of which nothing is stored. */
  #load(table: IngestTable, ids: readonly string[]): Promise<void> {
    return this.#store.load(
      table,
      ids.filter((id) => !this.#fresh.has(id)),
    );
  }

  async #priced(call: CallRow): Promise<CallRow> {
    const cost = await costOf(call, this.#options.prices);
    return cost === undefined
      ? call
      : { ...call, context: { cost, ...without(call.context, ['cost']) } };
  }
}

/** What a program says of a subagent as a whole: what it did is not always told call by call. */
function totalsOf({ totals, durationMs }: Extract<AgentEvent, { kind: 'subagent_ended' }>): Json {
  return {
    ...(totals?.tokens === undefined ? {} : { total_tokens: totals.tokens }),
    ...(totals?.toolCalls === undefined ? {} : { tool_calls: totals.toolCalls }),
    ...(durationMs === undefined ? {} : { duration_ms: durationMs }),
  };
}

/** Turns come first, because other events of a batch may precede the prompt that they belong to. */
function seeTurns(event: AgentEvent, session: Session | undefined): void {
  if (!session || event.kind === 'session_started' || event.kind === 'session_ended') return;
  const isPrompt = event.kind === 'prompt' && event.subagent === undefined;
  if (isPrompt) event.turn ??= `at:${event.at}`;
  if (event.turn !== undefined) session.seeTurn(event.turn, event.at, isPrompt);
}

/** The same in whatever order two tell of one decision: the fuller text, and the more particular agent. */
function completed(old: DecisionRow, row: DecisionRow): DecisionRow {
  const names = [old.agent_selected, row.agent_selected].toSorted();
  return {
    ...row,
    created_at: Math.min(old.created_at, row.created_at),
    agent_selected: names.find((each) => each !== 'general-purpose') ?? row.agent_selected,
    query_text: fuller(old.query_text, row.query_text),
    selection_reason: fuller(old.selection_reason, row.selection_reason),
    decision_duration_ms: row.decision_duration_ms ?? old.decision_duration_ms,
  };
}

function fuller(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  if (one.length !== other.length) return one.length > other.length ? one : other;
  return one < other ? one : other;
}
