import { randomUUID } from 'node:crypto';
import { sessionId } from '../ids.js';
import { headersOf, type TraceIds } from './propagation.js';
import { rowJson, type RowJson, type WriterTable } from './statements.js';
import type { End, Recording, Status, Tokens, Trace, TraceFields, TraceOptions } from './types.js';
import { failure, isUuid, json, jsonObject, label, labelOrNull, text, whole } from './values.js';

/** What recordings need of the writer. */
export type Sink = {
  /** Remembers something that goes on, so that its row is written should it last. */
  begun(recording: Recorded): boolean;
  /** Its last row. */
  ended(recording: Recorded): void;
  put(table: WriterTable, id: string, row: Row, trace: TraceRecording): void;
  /** Makes it the current one. */
  within<Result>(trace: TraceRecording, body: () => Result): Result;
  /** Longer texts are cut. */
  readonly fieldLimit: number | undefined;
  readonly service: string | undefined;
  readonly version: string | undefined;
  /** Runs `work`; what it throws, by a mistake of the caller or of ours, is reported and goes no further. */
  safely(work: () => void): void;
};

export type Row = Readonly<Record<string, unknown>>;

const statuses = [
  'completed',
  'failed',
  'cancelled',
  'timeout',
] as const satisfies readonly Status[];

export const now = (): number => performance.timeOrigin + performance.now();

/** Something with a beginning and an end: a row. */
export abstract class Recorded {
  abstract readonly table: WriterTable;
  readonly id: string;
  readonly #startedAt = now();
  readonly #startedMark = performance.now();
  #end: { at: number; status: Status; error: unknown } | undefined;
  /** Whether there was room for it. */
  isKept = false;
  protected readonly sink: Sink;

  constructor(sink: Sink, id: string) {
    this.sink = sink;
    this.id = id;
  }

  /** The trace whose row must be there before this one. */
  abstract get owner(): TraceRecording;

  protected abstract get columns(): Row;

  get row(): RowJson {
    return rowJson({ id: this.id, ...this.columns });
  }

  end(end: End = {}): void {
    if (this.#end !== undefined) return;
    this.sink.safely(() => {
      const { status, error } = (end as End | null) ?? {};
      const isFailed = error !== undefined && error !== null;
      this.#end = {
        // By the clock that is not set.
        at: this.#startedAt + (performance.now() - this.#startedMark),
        status: statuses.find((each) => each === status) ?? (isFailed ? 'failed' : 'completed'),
        error,
      };
      this.ending();
      this.sink.ended(this);
    });
  }

  /** What else its end does. */
  protected ending(): void {
    // Nothing.
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  get durationMs(): number {
    return Math.round((this.#end?.at ?? now()) - this.#startedAt);
  }

  protected get hasFailed(): boolean {
    return this.#end?.status === 'failed';
  }

  protected get error(): unknown {
    return this.#end?.error;
  }

  protected get status(): string {
    return this.#end?.status ?? 'in_progress';
  }

  protected get work(): Row {
    return {
      started_at: this.#startedAt,
      completed_at: this.#end?.at ?? null,
      duration_ms: this.#end ? this.durationMs : null,
      ...failure(this.#end?.error),
    };
  }

  protected limited(value: unknown): unknown {
    return json(value, this.sink.fieldLimit);
  }
}

export class TraceRecording extends Recorded implements Trace {
  readonly table = 'execution_traces';
  readonly ids: TraceIds;
  readonly sessionId: string;
  readonly #source: string;
  #fields: Record<string, unknown> = {};
  #context: Record<string, unknown> = {};
  #tokens: Required<Tokens> | undefined;
  #costUsd: number | undefined;

  constructor(
    sink: Sink,
    ids: TraceIds,
    options: TraceOptions,
    parent: TraceRecording | undefined,
  ) {
    super(sink, ids.correlationId);
    this.ids = ids;
    const told = options.session ?? ids.session;
    const session = told === undefined || told === '' ? undefined : label(told);
    this.sessionId = session === undefined ? (parent?.sessionId ?? ids.rootId) : sessionId(session);
    this.#source = label(
      options.source ?? (ids.parentId === null ? 'user_prompt' : 'agent_delegation'),
    );
    this.#context = {
      agent: labelOrNull(sink.service) ?? 'service',
      ...(sink.version === undefined ? {} : { version: label(sink.version) }),
      ...(session === undefined || isUuid(session) ? {} : { session }),
    };
    if (sink.service !== undefined) this.#fields.project = labelOrNull(sink.service);
    this.set(options);
    this.isKept = sink.begun(this);
  }

  get correlationId(): string {
    return this.ids.correlationId;
  }

  get rootId(): string {
    return this.ids.rootId;
  }

  get parentId(): string | null {
    return this.ids.parentId;
  }

  get owner(): this {
    return this;
  }

  set(fields: TraceFields): void {
    this.sink.safely(() => {
      const { prompt, userId, project, model, provider, tags, context } = fields;
      const changed = this.#fields;
      if (prompt !== undefined) changed.prompt_text = text(prompt, this.sink.fieldLimit);
      if (userId !== undefined) changed.user_id = labelOrNull(userId);
      if (project !== undefined) changed.project = labelOrNull(project);
      if (model !== undefined) changed.model = labelOrNull(model);
      if (provider !== undefined) changed.provider = labelOrNull(provider);
      if (Array.isArray(tags)) changed.tags = tags.slice(0, 64).map(label);
      if (context !== undefined) {
        this.#context = { ...this.#context, ...jsonObject(context, this.sink.fieldLimit) };
      }
      this.changed();
    });
  }

  /** What a model's call has taken is the trace's. */
  add(tokens: Tokens | undefined, costUsd: number | null, model: string, provider: string): void {
    if (tokens) {
      const sum = (kind: keyof Tokens) => (this.#tokens?.[kind] ?? 0) + (whole(tokens[kind]) ?? 0);
      this.#tokens = {
        input: sum('input'),
        output: sum('output'),
        cacheRead: sum('cacheRead'),
        cacheCreation: sum('cacheCreation'),
      };
    }
    if (costUsd !== null) {
      this.#costUsd = (this.#costUsd ?? 0) + costUsd;
      this.#context.cost = { source: 'reported' };
    }
    this.#fields = { model, provider, ...this.#fields };
    this.changed();
  }

  headers(): Record<string, string> {
    return headersOf(this.ids, this.sessionId);
  }

  run<Result>(body: () => Result): Result {
    return this.sink.within(this, body);
  }

  /** What comes after its end is written, too. */
  private changed(): void {
    if (this.isEnded) this.sink.ended(this);
  }

  protected get columns(): Row {
    return {
      correlation_id: this.ids.correlationId,
      root_id: this.ids.rootId,
      parent_id: this.ids.parentId,
      session_id: this.sessionId,
      source: this.#source,
      status: this.status,
      tags: [],
      ...this.#fields,
      input_tokens: this.#tokens?.input ?? null,
      output_tokens: this.#tokens?.output ?? null,
      cache_read_tokens: this.#tokens?.cacheRead ?? null,
      cache_creation_tokens: this.#tokens?.cacheCreation ?? null,
      cost_usd: this.#costUsd ?? null,
      context: this.#context,
      ...this.work,
    };
  }
}

/** What belongs to a trace. */
export abstract class Part<Fields> extends Recorded implements Recording<Fields> {
  readonly #trace: TraceRecording;
  readonly #isLone: boolean;

  /** @param isLone the trace was made for it, and ends with it */
  constructor(sink: Sink, trace: TraceRecording, isLone: boolean) {
    super(sink, randomUUID());
    this.#trace = trace;
    this.#isLone = isLone;
  }

  get owner(): TraceRecording {
    return this.#trace;
  }

  abstract set(fields: Fields): void;

  protected override ending(): void {
    if (this.#isLone) this.#trace.end({ error: this.error, status: this.status as Status });
  }
}
