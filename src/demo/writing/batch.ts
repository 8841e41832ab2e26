import type { Queryable } from '../../db/queryable.js';
import { demoUsageMarker } from '../options.js';
import type { ChainRow, ErrorRow, HookRow, TraceRow, UsageRow } from '../rows.js';
import type { Recorder, TraceTable, TraceTables } from '../simulation/tree.js';

type RowSets = { [Table in TraceTable]: Set<TraceTables[Table]> };

const mostExamples = 5;

/** Collects what trees do until it is written. A row that was put twice is written once. */
export class Batch implements Recorder {
  readonly rows: RowSets = {
    execution_traces: new Set(),
    agent_routing_decisions: new Set(),
    hook_executions: new Set(),
    endpoint_calls: new Set(),
  };
  readonly usages: UsageRow[] = [];
  readonly chains = new Map<string, ChainRow>();
  readonly errors = new Map<string, ErrorRow>();

  put<Table extends TraceTable>(table: Table, row: TraceTables[Table]): void {
    const set: Set<TraceTables[Table]> = this.rows[table];
    set.add(row);
  }

  usage(row: UsageRow): void {
    this.usages.push(row);
  }

  chain(row: ChainRow): void {
    const known = this.chains.get(row.chain_hash);
    this.chains.set(row.chain_hash, known ? addChains(known, row) : row);
  }

  error(row: ErrorRow): void {
    const known = this.errors.get(row.fingerprint);
    this.errors.set(row.fingerprint, known ? addErrors(known, row) : row);
  }

  /** Rows of traces and what belongs to them. */
  get size(): number {
    return Object.values(this.rows).reduce((sum, { size }) => sum + size, 0);
  }

  get isEmpty(): boolean {
    return this.size + this.usages.length + this.chains.size + this.errors.size === 0;
  }

  /** Takes over the traces of another batch; what was learned goes to `learned`. */
  take(other: Batch, learned: Batch = this): void {
    for (const row of other.rows.execution_traces) this.put('execution_traces', row);
    for (const row of other.rows.agent_routing_decisions) this.put('agent_routing_decisions', row);
    for (const row of other.rows.hook_executions) this.put('hook_executions', row);
    for (const row of other.rows.endpoint_calls) this.put('endpoint_calls', row);
    for (const row of other.usages) learned.usage(row);
    for (const row of other.chains.values()) learned.chain(row);
    for (const row of other.errors.values()) learned.error(row);
  }
}

/** Knows which traces and hooks of a live run have not ended. */
export class OpenWork {
  readonly traces = new Set<TraceRow>();
  readonly hooks = new Set<HookRow>();

  /** Looks at what changed. */
  follow(batch: Batch): void {
    for (const trace of batch.rows.execution_traces) keepWhileOpen(this.traces, trace);
    for (const hook of batch.rows.hook_executions) keepWhileOpen(this.hooks, hook);
  }

  /** Ends everything that is open as cancelled at this time; gives the number of traces. */
  cancel(batch: Batch, at: number): number {
    const { size } = this.traces;
    for (const trace of this.traces) {
      trace.context = { ...trace.context, cancelled_by: 'end of the demo' };
      batch.put('execution_traces', ended(trace, at));
    }
    for (const hook of this.hooks) batch.put('hook_executions', ended(hook, at));
    this.traces.clear();
    this.hooks.clear();
    return size;
  }
}

function keepWhileOpen<Row extends TraceRow | HookRow>(set: Set<Row>, row: Row): void {
  if (row.status === 'in_progress') set.add(row);
  else set.delete(row);
}

function ended<Row extends TraceRow | HookRow>(row: Row, at: number): Row {
  row.status = 'cancelled';
  row.completed_at = Math.max(at, row.started_at);
  row.updated_at = row.completed_at;
  row.duration_ms = row.completed_at - row.started_at;
  return row;
}

function addChains(one: ChainRow, other: ChainRow): ChainRow {
  const count = one.occurrence_count + other.occurrence_count;
  const average = (a: number, b: number) =>
    Math.round((a * one.occurrence_count + b * other.occurrence_count) / count);
  return {
    ...one,
    delegation_depth: Math.max(one.delegation_depth, other.delegation_depth),
    occurrence_count: count,
    success_count: one.success_count + other.success_count,
    avg_total_duration_ms: average(one.avg_total_duration_ms, other.avg_total_duration_ms),
    avg_coordination_overhead_ms: average(
      one.avg_coordination_overhead_ms,
      other.avg_coordination_overhead_ms,
    ),
    example_trace_ids: examples(one, other),
    updated_at: Math.max(one.updated_at, other.updated_at),
    first_seen_at: Math.min(one.first_seen_at, other.first_seen_at),
    last_used_at: Math.max(one.last_used_at, other.last_used_at),
  };
}

function addErrors(one: ErrorRow, other: ErrorRow): ErrorRow {
  return {
    ...one,
    occurrence_count: one.occurrence_count + other.occurrence_count,
    updated_at: Math.max(one.updated_at, other.updated_at),
    first_occurrence_at: Math.min(one.first_occurrence_at, other.first_occurrence_at),
    last_occurrence_at: Math.max(one.last_occurrence_at, other.last_occurrence_at),
    example_trace_ids: examples(one, other),
  };
}

/** The latest few, each once. */
function examples(one: { example_trace_ids: string[] }, other: { example_trace_ids: string[] }) {
  const all = new Set([...one.example_trace_ids, ...other.example_trace_ids]);
  return [...all].slice(-mostExamples);
}

type SeenSession = {
  session_id: string;
  project: string;
  model: string;
  git_branch: unknown;
  started_at: number;
  last_seen_at: number;
  ended_at: number | null;
  activity: object;
};

/** A sign of life of each session in a batch: the newest of its turns goes on with a tool, or has ended. */
function sessionsOf({ rows }: Batch): SeenSession[] {
  const newest = new Map<string, TraceRow>();
  const begun = new Map<string, number>();
  for (const trace of rows.execution_traces) {
    if (trace.parent_id !== null) continue;
    const { session_id: session, started_at: startedAt } = trace;
    const known = newest.get(session);
    if (!known || known.started_at < startedAt) newest.set(session, trace);
    begun.set(session, Math.min(begun.get(session) ?? startedAt, startedAt));
  }
  const tools = new Map<string, string>();
  for (const { trace_id: trace, tool_name: tool } of rows.hook_executions) {
    if (tool !== null) tools.set(trace, tool);
  }
  return [...newest.values()].map((trace) => {
    const isOpen = trace.status === 'in_progress';
    const at = trace.completed_at ?? trace.updated_at;
    const tool = tools.get(trace.id);
    const work = tool === undefined ? { kind: 'prompt' } : { kind: 'tool_started', tool };
    return {
      session_id: trace.session_id,
      project: trace.project,
      model: trace.model,
      git_branch: trace.context.branch,
      started_at: begun.get(trace.session_id) ?? trace.started_at,
      last_seen_at: at,
      ended_at: isOpen || staysOpen(trace.session_id) ? null : at,
      activity: { ...demoUsageMarker, ...(isOpen ? work : { kind: 'turn_ended' }), at },
    };
  });
}

/** Of six people five leave when they have their answer; the others let the program wait for them. */
const staysOpen = (session: string): boolean => parseInt(session.slice(0, 2), 16) % 6 === 0;

/** `$1`: the schema of the traces, `$2`: the sessions. History comes backwards: the newest sign of life stays. */
const seenStatement = `
INSERT INTO trace_console.agent_sessions AS s
  (target_schema, session_id, agent, session, project, model, git_branch, started_at, last_seen_at, ended_at, activity)
SELECT $1, session_id, 'claude-code', session_id::text, project, model, git_branch,
  to_timestamp(started_at / 1000), to_timestamp(last_seen_at / 1000), to_timestamp(ended_at / 1000), activity
FROM json_to_recordset($2::json) AS r (session_id uuid, project text, model text, git_branch text,
  started_at float8, last_seen_at float8, ended_at float8, activity jsonb)
ON CONFLICT (target_schema, session_id) DO UPDATE SET
  started_at = LEAST(s.started_at, excluded.started_at),
  last_seen_at = GREATEST(s.last_seen_at, excluded.last_seen_at),
  ended_at = CASE WHEN excluded.last_seen_at >= s.last_seen_at THEN excluded.ended_at ELSE s.ended_at END,
  activity = CASE WHEN excluded.last_seen_at >= s.last_seen_at THEN excluded.activity ELSE s.activity END`;

/** Tells the console's table of sessions what those of a batch did last. */
export async function seeSessions(tx: Queryable, schema: string, batch: Batch): Promise<void> {
  const sessions = sessionsOf(batch);
  if (sessions.length > 0) await tx.query(seenStatement, [schema, JSON.stringify(sessions)]);
}
