import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { byOwnKey, setOwnKey } from '../../core/values.js';
import { requestHandler, requestMiddleware, tracedFetch } from './http.js';
import { childOf, continued, newRoot } from './propagation.js';
import {
  CallRecording,
  DecisionRecording,
  HookRecording,
  ModelCallRecording,
  usageRow,
} from './parts.js';
import { TraceRecording, type Recorded, type Row, type Sink } from './recorded.js';
import { Sender } from './sender.js';
import { rowJson, type WriterTable } from './statements.js';
import type {
  Call,
  CallOptions,
  Decision,
  End,
  Hook,
  HookOptions,
  HttpOptions,
  Middleware,
  ModelCall,
  ModelCallOptions,
  PatternUsage,
  RoutingFields,
  Trace,
  TraceOptions,
  Tracer,
  TracerOptions,
  WriterStats,
} from './types.js';

export function createTracer(options: TracerOptions = {}): Tracer {
  return new ServiceTracer(objectOr(options));
}

/** What callers give may be anything. */
const objectOr = <Value extends object>(value: Value): Value =>
  typeof (value as unknown) === 'object' && (value as unknown) !== null ? value : ({} as Value);

/** What can be read of it: of its fields, some may be getters that throw. */
function readable<Value extends object>(value: Value): Value {
  const read: Record<string, unknown> = {};
  for (const key of Object.keys(objectOr(value))) {
    try {
      setOwnKey<unknown>(read, key, byOwnKey(value, key));
    } catch {
      // The rest is worth keeping.
    }
  }
  return read as Value;
}

type Current = { trace: TraceRecording; hook: HookRecording | undefined };

/** Ends may use this much more of the queue, so that there is room for the end of everything that has begun. */
const roomForEnds = 2;

const defaultExitMs = 5_000;

class ServiceTracer implements Tracer, Sink {
  readonly #sender: Sender;
  readonly #exitMs: number;
  readonly #context = new AsyncLocalStorage<Current>();
  /** What has begun and is not written yet. */
  readonly #begun = new Set<Recorded>();
  readonly fieldLimit: number | undefined;
  readonly service: string | undefined;
  readonly version: string | undefined;
  readonly fetch: typeof globalThis.fetch;

  constructor(options: TracerOptions) {
    this.#sender = new Sender(options, () => this.#writeBegun());
    this.#exitMs = options.exitMs ?? defaultExitMs;
    this.fieldLimit = options.fieldLimit;
    this.service = options.service;
    this.version = options.version;
    this.fetch = tracedFetch(this);
    openTracers().add(this);
  }

  trace<Result>(options: string | TraceOptions, body: (trace: Trace) => Result): Result {
    const trace = this.startTrace(options);
    return this.#around(trace, () => this.#enter(trace, undefined, () => body(trace)));
  }

  hook<Result>(options: HookOptions, body: (hook: Hook) => Result): Result {
    const hook = this.startHook(options);
    return this.#around(hook, () => this.#enter(hook.owner, hook, () => body(hook)));
  }

  call<Result>(options: CallOptions, body: (call: Call) => Result): Result {
    const call = this.startCall(options);
    return this.#around(call, () => body(call));
  }

  modelCall<Result>(options: ModelCallOptions, body: (call: ModelCall) => Result): Result {
    const call = this.startModelCall(options);
    return this.#around(call, () => body(call));
  }

  startTrace(options: string | TraceOptions): TraceRecording {
    const given = typeof options === 'string' ? { prompt: options } : options;
    return this.#starting(given, (told) => {
      const carried = told.from === undefined ? undefined : this.#continued(told);
      const parent = told.root === true || carried ? undefined : this.#context.getStore()?.trace;
      const ids = carried ?? (parent ? childOf(parent.ids) : newRoot());
      return new TraceRecording(this, ids, told, parent);
    });
  }

  startHook(options: HookOptions): HookRecording {
    return this.#starting(options, (told) => {
      const { trace, isLone } = this.#traceFor('hook_trigger', told.tool ?? told.name ?? told.type);
      return new HookRecording(this, trace, isLone, told);
    });
  }

  startCall(options: CallOptions): CallRecording {
    return this.#starting(options, (told) => {
      const { trace, hook, isLone } = this.#traceFor('endpoint_call', told.service);
      return new CallRecording(this, trace, isLone, hook, told);
    });
  }

  startModelCall(options: ModelCallOptions): ModelCallRecording {
    return this.#starting(options, (told) => {
      const { trace, hook, isLone } = this.#traceFor('endpoint_call', told.model);
      return new ModelCallRecording(this, trace, isLone, hook, told);
    });
  }

  route(decision: RoutingFields): Decision {
    return this.#starting(decision, (told) => {
      const { trace, isLone } = this.#traceFor('routing', told.query ?? told.agent);
      const recording = new DecisionRecording(this, trace, told);
      if (isLone) trace.end();
      return recording;
    });
  }

  patternUsed(usage: PatternUsage): void {
    this.safely(() => {
      const { trace, isLone } = this.#traceFor('pattern', undefined);
      const row = usageRow(objectOr(usage), trace, this.fieldLimit);
      if (row) this.put('pattern_usage_log', randomUUID(), row, trace);
      else
        this.#sender.say({
          kind: 'usage',
          message: 'patternUsed needs a patternId and an outcome.',
        });
      if (isLone) trace.end();
    });
  }

  current(): Trace | undefined {
    return this.#context.getStore()?.trace;
  }

  headers(): Record<string, string> {
    return this.current()?.headers() ?? {};
  }

  middleware(options: HttpOptions = {}): Middleware {
    return requestMiddleware(this, options);
  }

  handler<Args extends unknown[]>(
    handle: (request: Request, ...args: Args) => Response | Promise<Response>,
    options: HttpOptions = {},
  ): (request: Request, ...args: Args) => Promise<Response> {
    return requestHandler(this, handle, options);
  }

  async flush(withinMs = defaultExitMs): Promise<boolean> {
    return this.#sender.flush(withinMs).catch(() => false);
  }

  async close(withinMs = defaultExitMs): Promise<boolean> {
    const isDone = await this.#sender.close(withinMs).catch(() => false);
    openTracers().delete(this);
    return isDone;
  }

  stats(): WriterStats {
    return this.#sender.stats;
  }

  /** Before the process ends. */
  async finish(): Promise<void> {
    if (this.#exitMs > 0 && this.hasWaiting) await this.flush(this.#exitMs);
    if (this.hasWaiting) this.#sender.spoolAll();
  }

  finishAtOnce(): void {
    this.#sender.spoolAll();
  }

  get hasWaiting(): boolean {
    return this.#sender.hasWaiting;
  }

  // The rest is for recordings.

  begun(recording: Recorded): boolean {
    if (!this.#sender.hasRoom(this.#begun.size)) return false;
    this.#begun.add(recording);
    this.#sender.schedule();
    return true;
  }

  ended(recording: Recorded): void {
    this.#begun.delete(recording);
    if (recording.owner !== recording && !this.#ensure(recording.owner)) {
      this.#sender.drop();
      return;
    }
    const room = recording.isKept ? roomForEnds : 1;
    if (this.#sender.put(recording.table, recording.id, recording.row, room)) {
      recording.isKept = true;
    }
  }

  put(table: WriterTable, id: string, row: Row, trace: TraceRecording): void {
    if (this.#ensure(trace)) this.#sender.put(table, id, rowJson(row));
    else this.#sender.drop();
  }

  within<Result>(trace: TraceRecording, body: () => Result): Result {
    return this.#enter(trace, undefined, body);
  }

  safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#sender.say({ kind: 'usage', message: `A call is passed over: ${message}` });
    }
  }

  /** Whether the row of a trace is there, or will be before what belongs to it. */
  #ensure(trace: TraceRecording): boolean {
    if (!trace.isKept && trace.isEnded) {
      trace.isKept = this.#sender.put(trace.table, trace.id, trace.row);
    }
    trace.isKept ||= this.begun(trace);
    return trace.isKept;
  }

  #writeBegun(): void {
    for (const recording of this.#begun) {
      this.#begun.delete(recording);
      this.safely(() => {
        this.#sender.put(recording.table, recording.id, recording.row, roomForEnds);
      });
    }
  }

  #enter<Result>(
    trace: TraceRecording,
    hook: HookRecording | undefined,
    body: () => Result,
  ): Result {
    return this.#context.run({ trace, hook }, body);
  }

  /** Whatever is given, the caller's body runs: something begins, if only with what can be read. */
  #starting<Options extends object, Begun>(
    options: Options,
    start: (told: Options) => Begun,
  ): Begun {
    try {
      Object.values(objectOr(options));
      return start(objectOr(options));
    } catch (error) {
      this.safely(() => {
        throw error;
      });
    }
    try {
      return start(readable(options));
    } catch {
      return start({} as Options);
    }
  }

  #traceFor(source: string, prompt: unknown): Current & { isLone: boolean } {
    const current = this.#context.getStore();
    if (current) return { ...current, isLone: false };
    const told = { source, prompt: typeof prompt === 'string' ? prompt : source };
    return { trace: this.startTrace(told), hook: undefined, isLone: true };
  }

  #continued({ from }: TraceOptions) {
    try {
      return from === undefined ? undefined : continued(from);
    } catch {
      // Headers are what others send.
      return undefined;
    }
  }

  /** Ends a recording with what its body returns, throws or rejects with. */
  #around<Result>(recording: { end(end?: End): void }, body: () => Result): Result {
    let result: Result;
    try {
      result = body();
    } catch (error) {
      recording.end(failed(error));
      throw error;
    }
    if (!isThenable(result)) {
      recording.end();
      return result;
    }
    return result.then(
      (value) => {
        recording.end();
        return value;
      },
      (error: unknown) => {
        recording.end(failed(error));
        throw error;
      },
    ) as Result;
  }
}

const failed = (error: unknown): End =>
  error === undefined || error === null ? { status: 'failed' } : { error };

function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return (
      typeof value === 'object' &&
      value !== null &&
      typeof (value as { then?: unknown }).then === 'function'
    );
  } catch {
    // A getter of the caller's.
    return false;
  }
}

/** All of this process, also those of another copy of this module: the last rows of each are sent when it ends. */
function openTracers(): Set<Pick<ServiceTracer, 'finish' | 'finishAtOnce' | 'hasWaiting'>> {
  const key = Symbol.for('trace-console.writer');
  const holder = globalThis as unknown as Record<
    symbol,
    ReturnType<typeof openTracers> | undefined
  >;
  const known = holder[key];
  if (known) return known;
  const tracers: ReturnType<typeof openTracers> = new Set();
  holder[key] = tracers;
  const finishAll = () => Promise.all([...tracers].map((tracer) => tracer.finish()));
  let hasFinished = false;
  process.on('beforeExit', () => {
    const isWaiting = [...tracers].some((tracer) => tracer.hasWaiting);
    // Asked again after each flush; what a database that is away does not take is not waited for twice.
    if (hasFinished || !isWaiting) return;
    hasFinished = true;
    void finishAll().then(() => {
      hasFinished = [...tracers].some((tracer) => tracer.hasWaiting);
    });
  });
  process.on('exit', () => {
    for (const tracer of tracers) tracer.finishAtOnce();
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const onSignal = () => {
      // A service that listens itself ends itself.
      const isOurs = process.listenerCount(signal) <= 1;
      void finishAll().finally(() => {
        if (!isOurs) return;
        process.off(signal, onSignal);
        process.kill(process.pid, signal);
      });
    };
    process.on(signal, onSignal);
  }
  return tracers;
}
