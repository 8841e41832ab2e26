import { contextWindowOf } from '../../ingest/prices.js';
import { ofFigures, ofTraceAlone } from '../../ingest/events.js';
import { fittingInto } from '../../core/clock.js';
import type { Queryable } from '../../db/database.js';
import { columnOf } from './calls.js';
import type { SchemaShape } from '../contract/shape.js';
import { boundedText } from '../../db/quote.js';
import type { ReadRequest } from '../contract/pane.js';
import { timed, writesOf } from './late-rows.js';

/** What a session does, by its last sign of life. */
export type SessionState =
  'permission' | 'user' | 'tool' | 'thinking' | 'compacting' | 'interrupted' | 'idle' | 'ended';

/** A session as it was seen last. Times are milliseconds since 1970. */
export type SeenSession = {
  session_id: string;
  agent: string;
  session: string;
  project: string | null;
  branch: string | null;
  model: string | null;
  ended_ms: number | null;
  seen_ms: number;
  /** The event that was the last sign of life, and when it was. */
  kind: string | null;
  at_ms: number | null;
  tool: string | null;
  message: string | null;
  /** The permission that is waited for longest. */
  asked_ms: number | null;
  asked_tool: string | null;
  /** Only spans of a service tell of it: nobody knows of a user. */
  is_service: boolean;
  now_ms: number;
};

/** How the agents' CLIs call themselves, in their hooks and transcripts and in their telemetry. */
const programs = '^(claude|codex|gemini|cursor|copilot|opencode)';

/**
 * Sessions of agents that gave a sign of life in a window. `$1`: the schema of the traces, `$2`: window in seconds,
 * `$3`: how many at most, the latest. Reads agent_sessions_last_seen.
 */
export const seenSessionsStatement = `
SELECT
  session_id,
  ${boundedText('agent', 100)} AS agent,
  ${boundedText('session', 200)} AS session,
  ${boundedText('project', 200)} AS project,
  ${boundedText('git_branch', 200)} AS branch,
  ${boundedText('model', 200)} AS model,
  (date_part('epoch', ended_at) * 1000)::float8 AS ended_ms,
  (date_part('epoch', last_seen_at) * 1000)::float8 AS seen_ms,
  ${boundedText("activity ->> 'kind'", 100)} AS kind,
  CASE WHEN jsonb_typeof(activity -> 'at') = 'number' THEN (activity ->> 'at')::float8 END AS at_ms,
  ${boundedText("activity ->> 'tool'", 200)} AS tool,
  ${boundedText("activity ->> 'message'", 200)} AS message,
  CASE WHEN jsonb_typeof(activity #> '{asks,0,at}') = 'number' THEN (activity #>> '{asks,0,at}')::float8 END AS asked_ms,
  ${boundedText("activity #>> '{asks,0,tool}'", 200)} AS asked_tool,
  agent !~ '${programs}' AND cwd IS NULL AND transcript_path IS NULL AS is_service,
  date_part('epoch', now()) * 1000 AS now_ms
FROM trace_console.agent_sessions
WHERE target_schema = $1 AND last_seen_at > now() - $2::float8 * interval '1 second'
ORDER BY last_seen_at DESC
LIMIT $3`;

/** How many there are in the window, where not all are shown. `$1`, `$2`: as above. */
export const countedSessionsStatement = `
SELECT count(*)::int AS count FROM trace_console.agent_sessions
WHERE target_schema = $1 AND last_seen_at > now() - $2::float8 * interval '1 second'`;

/** What a session's traces come to. */
export type SessionFigures = {
  session_id: string;
  prompts: number;
  subagents: number;
  failed_traces: number;
  open_traces: number;
  tokens: number;
  /** US dollars; null: nothing has a price. */
  cost_usd: number | null;
  tools: number;
  failed_tools: number;
  /** Tokens that the model's last call of the session itself has read and written; null: unknown. */
  context_tokens: number | null;
  /** The beginning of the last prompt, as it was stored: without secrets. */
  prompt: string | null;
  /** The newest uses of tools in the last turn, newest first: tool and input, as one text each. */
  uses: string[] | null;
};

/** Characters of a prompt: what a wide screen shows. */
const mostOfPrompt = 200;
/** Uses of tools that are looked at for one that is repeated. */
const mostUses = 30;

/**
 * Figures of some sessions. `$1`: their ids. By idx_execution_traces_session; tools and calls by their traces.
 */
export function sessionFiguresStatement(shape: SchemaShape): string {
  const trace = columnOf(shape, 'execution_traces', 't');
  const hook = columnOf(shape, 'hook_executions', 'h');
  const call = columnOf(shape, 'endpoint_calls', 'c');
  const tokens = ['input_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'output_tokens']
    .map((column) => `COALESCE(${trace(column, 'bigint')}, 0)`)
    .join(' + ');
  const parent = trace('parent_id', 'uuid');
  const usage = `${call('context', 'jsonb')} -> 'usage'`;
  const read = ['input', 'cacheRead', 'cacheCreation', 'output']
    .map((kind) => `COALESCE((${usage} ->> '${kind}')::float8, 0)`)
    .join(' + ');
  return `
SELECT
  s.id AS session_id, sums.*, used.*, last_call.context_tokens,
  (SELECT ${boundedText(trace('prompt_text', 'text'), mostOfPrompt)} FROM execution_traces AS t WHERE t.id = newest.ids[1]) AS prompt,
  ARRAY(
    SELECT left(h.tool_name, 200) || ' ' || md5(COALESCE(${hook('input_data', 'jsonb')}::text, ''))
    FROM hook_executions AS h
    WHERE h.trace_id = newest.ids[1] AND ${hook('hook_type', 'text')} = 'ToolUse'
    ORDER BY h.started_at DESC LIMIT ${mostUses}) AS uses
FROM unnest($1::uuid[]) AS s (id)
CROSS JOIN LATERAL (
  SELECT
    count(*) FILTER (WHERE ${parent} IS NULL)::int AS prompts,
    count(*) FILTER (WHERE ${parent} IS NOT NULL)::int AS subagents,
    count(*) FILTER (WHERE t.status IN ('failed', 'timeout'))::int AS failed_traces,
    count(*) FILTER (WHERE t.status = 'in_progress' AND ${parent} IS NULL)::int AS open_traces,
    COALESCE(sum(${tokens}), 0)::float8 AS tokens,
    sum(${trace('cost_usd', 'numeric')})::float8 AS cost_usd
  FROM execution_traces AS t WHERE t.session_id = s.id) AS sums
CROSS JOIN LATERAL (
  SELECT count(*)::int AS tools, count(*) FILTER (WHERE h.status IN ('failed', 'timeout'))::int AS failed_tools
  FROM execution_traces AS t JOIN hook_executions AS h ON h.trace_id = t.id
  WHERE t.session_id = s.id AND ${hook('hook_type', 'text')} = 'ToolUse') AS used
CROSS JOIN LATERAL (
  SELECT ARRAY(
    SELECT t.id FROM execution_traces AS t WHERE t.session_id = s.id AND ${parent} IS NULL
    ORDER BY t.started_at DESC LIMIT 3) AS ids) AS newest
LEFT JOIN LATERAL (
  SELECT ${read} AS context_tokens
  FROM endpoint_calls AS c
  WHERE c.trace_id = ANY (newest.ids) AND jsonb_typeof(${usage}) = 'object'
  ORDER BY c.started_at DESC LIMIT 1) AS last_call ON true`;
}

/** How many traces these sessions have. `$1`: their ids. By idx_execution_traces_session alone. */
const tracesOfSessionsStatement = `
SELECT session_id AS id, count(*)::int AS traces FROM execution_traces WHERE session_id = ANY ($1::uuid[]) GROUP BY 1`;

/** Figures are counted anew so often (ms) where a turn goes on; else when the session gave a sign of life. */
const recountMs = 30_000;
/** Sessions that one reading counts at most: the first reading of a long window comes in parts. */
const countedAtOnce = 50;
/** What counting again, in turn, those that gave no sign may take of one reading (ms). */
const turnMs = 15;
/** One session with very many traces must not make the others wait: so many are counted with it. */
const shortestTurn = 4;
const longestTurn = 50;
/** Looking for sessions that have more traces than before takes this share of the time. */
const lookedShare = 0.01;

type Kept = {
  seenMs: number;
  countedMs: number;
  /** What had been written before; see {@link writesOf}. */
  writes: number | undefined;
  figures: SessionFigures;
};

/**
 * Keeps what sessions come to. Those that gave a sign of life since are counted again at once; while rows are written the
 * others are, too, in turn: traces may come to a session later than its last sign of life.
 */
export class SessionCounter {
  readonly #kept = new Map<string, Kept>();
  #turn = 10;
  #nextLookMs = 0;

  /** @returns the share of them that is counted */
  async count(
    tx: Queryable,
    request: ReadRequest,
    sessions: readonly SeenSession[],
  ): Promise<number> {
    const writes = await writesOf(tx, request, [timed.traces, timed.hooks, timed.calls]);
    const grown = await this.#grown(tx);
    const due = sessions.filter((session) => this.#isDue(session) || grown.has(session.session_id));
    const chosen = due.slice(0, countedAtOnce);
    await this.#countThese(tx, request.shape, chosen, writes);
    const before = performance.now();
    const inTurn = this.#inTurn(sessions, writes).slice(0, this.#turn);
    await this.#countThese(tx, request.shape, inTurn, writes);
    if (inTurn.length === this.#turn) {
      const done = { size: this.#turn, tookMs: performance.now() - before };
      this.#turn = Math.ceil(fittingInto(turnMs, done, { least: shortestTurn, most: longestTurn }));
    }
    const shown = new Set(sessions.map(({ session_id: id }) => id));
    for (const id of this.#kept.keys()) if (!shown.has(id)) this.#kept.delete(id);
    return sessions.length === 0 ? 1 : 1 - (due.length - chosen.length) / sessions.length;
  }

  /** Sessions that have other traces than when they were counted: their last sign of life does not say so. */
  async #grown(tx: Queryable): Promise<ReadonlySet<string>> {
    const beganMs = performance.now();
    if (this.#kept.size === 0 || beganMs < this.#nextLookMs) return new Set();
    const { rows } = await tx.query<{ id: string; traces: number }>(tracesOfSessionsStatement, [
      [...this.#kept.keys()],
    ]);
    this.#nextLookMs = beganMs + (performance.now() - beganMs) / lookedShare;
    const traces = new Map(rows.map(({ id, traces: count }) => [id, count]));
    const hasOthers = ([id, { figures }]: [string, Kept]) =>
      figures.prompts + figures.subagents !== (traces.get(id) ?? 0);
    return new Set([...this.#kept].filter(hasOthers).map(([id]) => id));
  }

  async #countThese(
    tx: Queryable,
    shape: SchemaShape,
    chosen: readonly SeenSession[],
    writes: number | undefined,
  ): Promise<void> {
    if (chosen.length === 0) return;
    const ids = chosen.map(({ session_id: id }) => id);
    const { rows } = await tx.query<SessionFigures>(sessionFiguresStatement(shape), [ids]);
    const byId = new Map(rows.map((row) => [row.session_id, row]));
    for (const { session_id: id, seen_ms: seenMs, now_ms: countedMs } of chosen) {
      const figures = byId.get(id);
      if (figures) this.#kept.set(id, { seenMs, countedMs, writes, figures });
    }
  }

  /** Those that were counted before something was written, the one that waits longest first. */
  #inTurn(sessions: readonly SeenSession[], writes: number | undefined): SeenSession[] {
    const kept = (session: SeenSession) => this.#kept.get(session.session_id);
    return sessions
      .filter((session) => {
        const known = kept(session);
        const isOlder = known !== undefined && known.countedMs < session.now_ms;
        return isOlder && (writes === undefined || known.writes !== writes);
      })
      .sort((a, b) => (kept(a)?.countedMs ?? 0) - (kept(b)?.countedMs ?? 0));
  }

  figuresOf(id: string): SessionFigures | undefined {
    return this.#kept.get(id)?.figures;
  }

  reset(): void {
    this.#kept.clear();
  }

  #isDue({ session_id: id, seen_ms: seenMs, now_ms: nowMs }: SeenSession): boolean {
    const kept = this.#kept.get(id);
    if (kept?.seenMs !== seenMs) return true;
    return kept.figures.open_traces > 0 && nowMs - kept.countedMs >= recountMs;
  }
}

/** A session without a sign of life for this long (ms) counts as idle: within a turn, after a turn. */
const silentMs = { inTurn: 15 * 60_000, after: 60 * 60_000 };
/** Tools that are questions to the user. */
const questions: ReadonlySet<string> = new Set([
  'AskUserQuestion',
  'ExitPlanMode',
  'request_user_input',
]);

/** Events of an agent at work. Of a session whose hooks began in the middle of a turn nothing else is known: it has no trace yet. */
const signsOfWork: ReadonlySet<string | null> = new Set([
  ...['prompt', 'tool_started', 'tool_ended', 'model_call', 'permission_allow'],
  ...['subagent_started', 'subagent_ended', 'PreCompact'],
]);

/**
 * What a session does now, and since when (milliseconds since 1970).
 *
 * @param figures undefined: not counted yet
 */
export function stateOf(
  seen: SeenSession,
  figures: Pick<SessionFigures, 'prompts' | 'subagents' | 'open_traces'> | undefined,
): { state: SessionState; sinceMs: number; tool: string | null } {
  const { kind, at_ms: atMs, ended_ms: endedMs, seen_ms: seenMs, now_ms: nowMs } = seen;
  const { asked_ms: askedMs } = seen;
  if (endedMs !== null) return { state: 'ended', sinceMs: endedMs, tool: null };
  const sinceMs = askedMs ?? atMs ?? seenMs;
  const told = toldState(seen);
  const traces = figures === undefined ? 0 : figures.prompts + figures.subagents;
  const isAtWork = traces === 0 ? signsOfWork.has(kind) : figures?.open_traces !== 0;
  const isOver = kind === 'turn_ended' || kind === 'session_started' || !isAtWork;
  const state = told ?? (isOver ? afterTurn(seen) : workOf(seen));
  if (state === 'ended') return { state, sinceMs: seenMs, tool: null };
  // A turn that was closed because nothing came any more: nobody has said that the user is waited for.
  const isLost = told === undefined && signsOfWork.has(kind);
  const isAfter =
    !isLost && (state === 'user' || state === 'permission' || state === 'interrupted');
  if (nowMs - seenMs > (isAfter ? silentMs.after : silentMs.inTurn))
    return { state: 'idle', sinceMs: seenMs, tool: null };
  const tool = askedMs === null ? seen.tool : seen.asked_tool;
  return { state, sinceMs, tool: state === 'tool' || state === 'permission' ? tool : null };
}

/** What the program itself says that it waits for. */
function toldState({
  kind,
  tool,
  message,
  asked_ms: askedMs,
}: SeenSession): SessionState | undefined {
  if (askedMs !== null || kind === 'permission_ask') return 'permission';
  // Only metrics tell of it: not what it does.
  if (kind === ofFigures) return 'idle';
  if (kind === 'interrupted') return 'interrupted';
  if (kind === 'Notification')
    return /permission|approv/i.test(message ?? '') ? 'permission' : 'user';
  if (kind === 'tool_started' && questions.has(tool ?? '')) return 'user';
  return undefined;
}

/** A service's trace is all there is of it; one of its conversations may go on. */
const afterTurn = ({ is_service: isService, session }: SeenSession): SessionState =>
  !isService ? 'user' : session.startsWith(ofTraceAlone) ? 'ended' : 'idle';

function workOf({ kind }: SeenSession): SessionState {
  if (kind === 'tool_started' || kind === 'permission_allow') return 'tool';
  return kind === 'PreCompact' ? 'compacting' : 'thinking';
}

/** How often the newest use of a tool was made in a row, with the same input. */
export function repeatsOf(uses: readonly string[] | null): number {
  const [newest] = uses ?? [];
  if (newest === undefined) return 0;
  const other = (uses ?? []).findIndex((use) => use !== newest);
  return other < 0 ? (uses?.length ?? 0) : other;
}

/** One session of an agent's program. */
export type SessionRow = {
  sessionId: string;
  /** The program's own id of it. */
  session: string;
  agent: string;
  state: SessionState;
  /** The tool that runs, or that a permission is waited for. */
  tool: string | null;
  /** When that began. */
  since: Date;
  project: string | null;
  branch: string | null;
  model: string | null;
  /** The beginning of the last one. */
  prompt: string | null;
  /** All of the session's, as its other figures are: also those before the window. */
  prompts: number;
  tools: number;
  /** Traces and uses of tools that failed. */
  failures: number;
  subagents: number;
  tokens: number;
  /** US dollars; null: nothing has a price. */
  costUsd: number | null;
  /** Of the model's context window, what the last call has filled, 0..1; null: unknown. */
  contextShare: number | null;
  /** How often the newest use of a tool was made in a row with the same input. */
  repeats: number;
  /** The last sign of life. */
  seen: Date;
};

export async function rowOf(
  seen: SeenSession,
  figures: SessionFigures | undefined,
): Promise<SessionRow> {
  const { state, sinceMs, tool } = stateOf(seen, figures);
  const used = figures?.context_tokens ?? null;
  const window =
    used === null || seen.model === null ? undefined : await contextWindowOf(seen.model);
  return {
    sessionId: seen.session_id,
    session: seen.session,
    agent: seen.agent,
    state,
    tool,
    since: new Date(sinceMs),
    project: seen.project,
    branch: seen.branch,
    model: seen.model,
    prompt: figures?.prompt ?? null,
    prompts: figures?.prompts ?? 0,
    tools: figures?.tools ?? 0,
    failures: (figures?.failed_traces ?? 0) + (figures?.failed_tools ?? 0),
    subagents: figures?.subagents ?? 0,
    tokens: figures?.tokens ?? 0,
    costUsd: figures?.cost_usd ?? null,
    contextShare: used === null || window === undefined ? null : used / window,
    repeats: repeatsOf(figures?.uses ?? null),
    seen: new Date(seen.seen_ms),
  };
}
