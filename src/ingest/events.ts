/**
 * What happens while an agent works, whatever told of it: a line of a transcript, the payload of a hook,
 * telemetry. Adapters in sources/ make events; the recorder makes rows of them. Several sources may tell of
 * the same happening, in any order, twice or late: events that share their ids meet in one row.
 */

/** An agent's command-line program, as it is stored in `context.agent`. */
export type AgentProgram =
  'claude-code' | 'codex' | 'gemini' | 'cursor' | 'copilot' | 'opencode' | (string & {});

/** What told of an event. A more exact source wins where two contradict each other. */
export type EventSource = 'transcript' | 'hook' | 'telemetry';

/**
 * What every event carries. Times are milliseconds since 1970, by the clock of the agent's machine.
 *
 * Write `{ kind: …, ...base }`, not `{ ...base, kind: … }`: V8 (Node.js 20) gives each object of a literal that begins with a
 * spread and has more names a hidden class of its own. With them an import took about a fifth more processor time.
 */
export type EventBase = {
  source: EventSource;
  agent: AgentProgram;
  /** The program's own id of the session. */
  session: string;
  /**
   * The program's id of the turn: the prompt id, else the uuid of the user's line, else a turn id.
   * Undefined: the turn of the session that had begun last at this time.
   */
  turn?: string | undefined;
  /** The subagent that it happened in. Undefined: in the turn itself. */
  subagent?: string | undefined;
  /** It was told of before in another place of its turn, by a source that knows better now. */
  isMoved?: true | undefined;
  at: number;
  /** Where the session runs; a later event completes what an earlier one left out. */
  place?: Place | undefined;
  /** Who runs its turn, and where, when that is another: several services have a part in it. */
  ofTurn?: { agent: AgentProgram; place: Place } | undefined;
};

export type Place = {
  cwd?: string | undefined;
  gitBranch?: string | undefined;
  gitCommit?: string | undefined;
  version?: string | undefined;
  entrypoint?: string | undefined;
  permissionMode?: string | undefined;
  user?: string | undefined;
  model?: string | undefined;
  transcriptPath?: string | undefined;
  /** The project, where it is not the folder's name. */
  project?: string | undefined;
};

/** Tokens of one model call; `input` is uncached input, `output` includes thinking. */
export type Usage = {
  input: number;
  output: number;
  cacheRead: number;
  /** All that was written to the cache. */
  cacheCreation: number;
  /** Of `cacheCreation`: written for one hour. The rest is kept for five minutes. */
  cacheCreation1h: number;
};

export type SessionStarted = EventBase & { kind: 'session_started'; reason?: string | undefined };
export type SessionEnded = EventBase & { kind: 'session_ended'; reason?: string | undefined };

/** Of a turn that began with a slash command: no prompt was typed. */
export const slashCommand = 'slash_command';

/** A user's (or a program's) prompt: a turn begins. `turn` is required in effect; without it one is made of the time. */
export type Prompted = EventBase & {
  kind: 'prompt';
  text?: string | undefined;
  /** `user`, `sdk`, `schedule`, … where the program tells; {@link slashCommand}. */
  origin?: string | undefined;
  span?: OtherSpan | undefined;
  /** What the trace can be found by. */
  tags?: readonly string[] | undefined;
};

/** A span that became a trace: what it says of itself. */
export type OtherSpan = {
  name: string;
  /** `server`, `client`, … */
  kind?: string | undefined;
  attributes: Readonly<Record<string, unknown>>;
};

/** The agent has stopped by itself; the turn is complete unless background work goes on. */
export type TurnEnded = EventBase & {
  kind: 'turn_ended';
  /** Set when it ended by an error. */
  error?: Failure | undefined;
  durationMs?: number | undefined;
};

/** The user interrupted the turn. */
export type Interrupted = EventBase & { kind: 'interrupted' };

export type ModelCalled = EventBase & {
  kind: 'model_call';
  /** The provider's id of the message; one call may come in several events. */
  message: string;
  provider: string;
  model?: string | undefined;
  /** The API's path, for example `/v1/messages`. */
  endpoint?: string | undefined;
  startedAt?: number | undefined;
  usage?: Partial<Usage> | undefined;
  /** The figures may grow: a snapshot of a stream, or a file that is known to tell less. */
  isLowerBound?: boolean | undefined;
  requestId?: string | undefined;
  finishReason?: string | undefined;
  durationMs?: number | undefined;
  timeToFirstTokenMs?: number | undefined;
  /** US dollars, as the program reported them. */
  costUsd?: number | undefined;
  statusCode?: number | undefined;
  error?: Failure | undefined;
  attempt?: number | undefined;
  spanKind?: string | undefined;
};

export type ToolStarted = EventBase & {
  kind: 'tool_started';
  /** The id of this use, the same in every source. */
  toolUse: string;
  tool: string;
  input?: unknown;
  spanKind?: string | undefined;
};

export type ToolEnded = EventBase & {
  kind: 'tool_ended';
  toolUse: string;
  tool?: string | undefined;
  input?: unknown;
  output?: unknown;
  startedAt?: number | undefined;
  durationMs?: number | undefined;
  outcome: 'completed' | 'failed' | 'denied' | 'cancelled';
  error?: Failure | undefined;
  exitCode?: number | undefined;
  spanKind?: string | undefined;
};

/** A command of the user's that the agent ran at an event of its own. */
export type HookRan = EventBase & {
  kind: 'hook_run';
  /** Unique within the session: which run it is. */
  id: string;
  /** `PreToolUse`, `Stop`, … */
  event: string;
  /** The command's short name. */
  name: string;
  command?: string | undefined;
  toolUse?: string | undefined;
  tool?: string | undefined;
  durationMs?: number | undefined;
  exitCode?: number | undefined;
  outcome: 'completed' | 'failed' | 'cancelled' | 'timeout';
  output?: unknown;
};

export type SubagentStarted = EventBase & {
  kind: 'subagent_started';
  /** The subagent's id (`subagent` is the one that it was started by, if any). */
  id: string;
  type?: string | undefined;
  prompt?: string | undefined;
  description?: string | undefined;
  /** The tool use that started it. */
  toolUse?: string | undefined;
  /** How it came about, when no agent was asked. */
  origin?: string | undefined;
  span?: OtherSpan | undefined;
};

export type SubagentEnded = EventBase & {
  kind: 'subagent_ended';
  id: string;
  type?: string | undefined;
  error?: Failure | undefined;
  durationMs?: number | undefined;
  /** What the program says of all that it did; its own calls may not be told. */
  totals?: { tokens?: number | undefined; toolCalls?: number | undefined } | undefined;
};

/** A decision about a tool use: asked for, granted or denied. */
export type PermissionEvent = EventBase & {
  kind: 'permission';
  decision: 'ask' | 'allow' | 'deny';
  toolUse?: string | undefined;
  tool?: string | undefined;
  input?: unknown;
  /** By whom: `user`, `config`, `hook`, a mode. */
  by?: string | undefined;
  reason?: string | undefined;
};

/** Something else that was said, with the program's own name of the event: Notification, PreCompact, … */
export type Noted = EventBase & {
  kind: 'note';
  event: string;
  /** Unique within the session where the program gives one. */
  id?: string | undefined;
  text?: string | undefined;
  data?: unknown;
  durationMs?: number | undefined;
  /** Set when it tells of a failure. */
  error?: Failure | undefined;
};

/** The program chose an agent or a model: a row of agent_routing_decisions. */
export type Routed = EventBase & {
  kind: 'routing';
  id: string;
  selected: string;
  strategy: string;
  confidence?: number | undefined;
  query?: string | undefined;
  reason?: string | undefined;
  durationMs?: number | undefined;
};

/** A span of another kind, as a service's telemetry tells it. */
export type SpanSeen = EventBase & {
  kind: 'span';
  /** Unique within the session. */
  id: string;
  name: string;
  startedAt: number;
  outcome: 'completed' | 'failed';
  error?: Failure | undefined;
  attributes: Record<string, unknown>;
  /** The span that it is in. */
  parent?: string | undefined;
  /** The library that made it. */
  scope?: string | undefined;
  spanKind?: string | undefined;
};

/** What failed: a short type that groups, and the message. */
export type Failure = { type: string; message?: string | undefined };

export type AgentEvent =
  | SessionStarted
  | SessionEnded
  | Prompted
  | TurnEnded
  | Interrupted
  | ModelCalled
  | ToolStarted
  | ToolEnded
  | HookRan
  | SubagentStarted
  | SubagentEnded
  | PermissionEvent
  | Noted
  | Routed
  | SpanSeen;

/** The kind of the last sign of life of a session of which only metrics tell. */
export const ofFigures = 'metrics';

/** Begins the name of a session that is nothing but a trace: its spans name none. */
export const ofTraceAlone = 'trace:';

/** So many data points a row of trace_console.agent_metrics holds. */
export const mostInSlot = 4_000;
