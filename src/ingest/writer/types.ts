/** How a writer is made. What is left out comes from the environment, as for the command line. */
export type TracerOptions = {
  /** `postgresql://user@host:port/database`; default: the connection that the environment names. */
  url?: string;
  /** Target schema; default: the first of search_path. */
  schema?: string;
  /** The service's name: `project` of its traces unless they say another. */
  service?: string;
  /** The service's version, in `context.version`. */
  version?: string;
  /** Rows that wait at most; with more, new ones are dropped and counted. Default 20,000. */
  queueRows?: number;
  /** Bytes of JSON that wait at most. Default 64 MB. */
  queueBytes?: number;
  /** How often rows are sent (ms). Default 200. */
  flushMs?: number;
  /**
   * Where rows go that the database does not take: what waits while it is away and the queue is half full, and what waits
   * when the process ends. True: this user's spool, which `trace-console collect` brings into the database.
   */
  spool?: boolean | string;
  /** How long the end of the process, SIGTERM or SIGINT waits for the last rows (ms); 0: not at all. Default 5,000. */
  exitMs?: number;
  /** Longer texts are cut, with a mark (UTF-16 units). Default 64 kB. */
  fieldLimit?: number;
  /** Hears of what goes wrong, each kind once until it is over. Default: a warning of the process. */
  onProblem?: (problem: WriterProblem) => void;
};

export type WriterProblem = {
  /**
   * `away`: the database does not answer, or cannot be written to now. `full`: rows were dropped. `refused`: the database
   * does not take a row. `usage`: options, or a call, cannot be understood.
   */
  kind: 'away' | 'full' | 'refused' | 'usage';
  message: string;
};

export type WriterStats = {
  /** Rows that wait. */
  queued: number;
  /** Rows that are in the database. */
  written: number;
  /** Rows that went to the spool. */
  spooled: number;
  /** Rows for which there was no room. */
  dropped: number;
  /** Rows that the database did not take. */
  refused: number;
};

/** Tokens of a model call; `input` is uncached input, `output` includes thinking. */
export type Tokens = {
  input?: number;
  output?: number;
  cacheRead?: number;
  cacheCreation?: number;
};

export type Status = 'completed' | 'failed' | 'cancelled' | 'timeout';

/** How something ended; default: completed, or failed where an error is given. */
export type End = { status?: Status; error?: unknown };

/** What a trace is about. All of it may also be set later. */
export type TraceFields = {
  /** What was asked. */
  prompt?: string;
  userId?: string;
  project?: string;
  model?: string;
  provider?: string;
  tags?: readonly string[];
  /** Merged with what is there. */
  context?: Readonly<Record<string, unknown>>;
};

export type TraceOptions = TraceFields & {
  /** Default `user_prompt`, of a trace within another one `agent_delegation`. */
  source?: string;
  /** Traces of one conversation. A UUID, or any text; the parent's unless given. */
  session?: string;
  /** What the trace continues: headers of a request, or an environment. Default: the current trace. */
  from?: Carrier;
  /** Not within the current trace. */
  root?: boolean;
};

/** Headers as `fetch` or `node:http` have them, or an environment (`TRACEPARENT`). */
export type Carrier =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export type RoutingFields = {
  /** Who was chosen. */
  agent: string;
  /** Between 0 and 1. */
  confidence: number;
  /** `explicit`, `fuzzy_match`, `learned_pattern`, … */
  strategy: string;
  query?: string;
  reason?: string;
  breakdown?: Readonly<Record<string, number>>;
  alternatives?: readonly { agent: string; confidence: number }[];
  patternId?: string;
  cacheHit?: boolean;
  durationMs?: number;
};

export type HookOptions = {
  /** The event: `PreToolUse`, …; default `ToolUse`: the call of a tool. */
  type?: string;
  /** Default: the tool. */
  name?: string;
  tool?: string;
  toolUseId?: string;
  agentId?: string;
  filePath?: string;
  order?: number;
  input?: unknown;
};

export type HookFields = {
  output?: unknown;
  decision?: string;
  exitCode?: number;
  modifications?: unknown;
  rag?: unknown;
  quality?: unknown;
  metadata?: Readonly<Record<string, unknown>>;
};

export type CallOptions = {
  service: string;
  url: string;
  method?: string;
  headers?: Readonly<Record<string, unknown>>;
  requestBody?: unknown;
};

export type CallFields = {
  statusCode?: number;
  responseBody?: unknown;
  requestBytes?: number;
  responseBytes?: number;
  retries?: number;
  context?: Readonly<Record<string, unknown>>;
};

export type ModelCallOptions = {
  provider: string;
  model: string;
  /** The API's path; default `chat`. */
  endpoint?: string;
};

export type ModelCallFields = {
  /** The model that answered. */
  model?: string;
  tokens?: Tokens;
  /** US dollars, where known. */
  costUsd?: number;
  statusCode?: number;
  requestId?: string;
  finishReason?: string;
  ttftMs?: number;
  retries?: number;
};

export type PatternUsage = {
  patternId: string;
  outcome: 'success' | 'failure' | 'partial' | 'skipped';
  matchScore?: number;
  expectedDurationMs?: number;
  /** Default: how long the trace has taken so far. */
  actualDurationMs?: number;
  deviations?: unknown;
  feedback?: string;
};

/** Something with a beginning and an end. The first end counts. */
export type Recording<Fields> = {
  readonly id: string;
  set(fields: Fields): void;
  end(end?: End): void;
};

export type Hook = Recording<HookFields>;
export type Call = Recording<CallFields>;
export type ModelCall = Recording<ModelCallFields>;

export type Trace = Recording<TraceFields> & {
  readonly correlationId: string;
  readonly rootId: string;
  readonly parentId: string | null;
  /** As `traceparent` and the family of `X-Correlation-ID`: for a request to another service. */
  headers(): Record<string, string>;
  /** Makes it the current one of what `body` does. It does not end with it. */
  run<Result>(body: () => Result): Result;
};

export type Decision = {
  readonly id: string;
  /** Whether it was right, once that is known. */
  outcome(success: boolean): void;
};

export type HttpOptions = {
  /** What a request is about; default `METHOD /path`. Undefined: the request is not traced. */
  prompt?: (request: { method: string; url: string }) => string | undefined;
};

/** As `node:http`, Express and Connect call it; a request and a response of `node:http`. */
export type Middleware = (
  request: import('node:http').IncomingMessage,
  response: import('node:http').ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Writes what a service does. Nothing of it waits for the database, and nothing throws but what `body` throws; a trace, a
 * hook or a call whose body throws or rejects has failed, with that error.
 */
export type Tracer = {
  /** A trace for the duration of `body`; within another one its child. */
  trace<Result>(options: string | TraceOptions, body: (trace: Trace) => Result): Result;
  hook<Result>(options: HookOptions, body: (hook: Hook) => Result): Result;
  call<Result>(options: CallOptions, body: (call: Call) => Result): Result;
  modelCall<Result>(options: ModelCallOptions, body: (call: ModelCall) => Result): Result;

  /** The same, to be ended by hand. Without a current trace, hooks and calls get one of their own. */
  startTrace(options: string | TraceOptions): Trace;
  startHook(options: HookOptions): Hook;
  startCall(options: CallOptions): Call;
  startModelCall(options: ModelCallOptions): ModelCall;

  /** A routing decision of the current trace. */
  route(decision: RoutingFields): Decision;
  /** That the current trace has used a pattern. */
  patternUsed(usage: PatternUsage): void;

  current(): Trace | undefined;
  /** {@link Trace.headers} of the current trace; none without one. */
  headers(): Record<string, string>;

  /** `fetch`, with the headers of the current trace, and a row for the call. */
  fetch: typeof globalThis.fetch;
  /** A trace for each request: it continues the caller's, and its id is in the answer's `X-Correlation-ID`. */
  middleware(options?: HttpOptions): Middleware;
  /** The same around a function that answers a `Request` with a `Response`. */
  handler<Args extends unknown[]>(
    handle: (request: Request, ...args: Args) => Response | Promise<Response>,
    options?: HttpOptions,
  ): (request: Request, ...args: Args) => Promise<Response>;

  /** Sends what waits. @returns whether all of it is in the database or the spool within `withinMs` (default 5,000) */
  flush(withinMs?: number): Promise<boolean>;
  /** Sends what waits, and closes the connection. */
  close(withinMs?: number): Promise<boolean>;
  stats(): WriterStats;
};

export type CreateTracer = (options?: TracerOptions) => Tracer;
