import { randomUUID } from 'node:crypto';
import { now, Part, type Row, type Sink, type TraceRecording } from './recorded.js';
import type {
  Call,
  CallFields,
  CallOptions,
  Decision,
  Hook,
  HookFields,
  HookOptions,
  ModelCall,
  ModelCallFields,
  ModelCallOptions,
  PatternUsage,
  RoutingFields,
  Tokens,
} from './types.js';
import {
  cost,
  integer,
  isUuid,
  json,
  jsonObject,
  label,
  labelOrNull,
  share,
  stack,
  text,
  whole,
} from './values.js';

export class HookRecording extends Part<HookFields> implements Hook {
  readonly table = 'hook_executions';
  readonly #fields: Record<string, unknown>;

  constructor(sink: Sink, trace: TraceRecording, isLone: boolean, options: HookOptions) {
    super(sink, trace, isLone);
    const { type, name, tool, toolUseId, agentId, filePath, order, input } = options;
    this.#fields = {
      hook_type: label(type ?? 'ToolUse'),
      hook_name: label(
        name ?? (type === undefined || type === 'ToolUse' ? 'tool' : (tool ?? type)),
      ),
      execution_order: whole(order, 2 ** 31 - 1) ?? 0,
      tool_name: labelOrNull(tool),
      tool_use_id: labelOrNull(toolUseId),
      agent_id: labelOrNull(agentId),
      file_path: text(filePath, 4_096),
      input_data: this.limited(input),
      rag_query_performed: false,
      quality_check_performed: false,
      metadata: {},
    };
    this.isKept = sink.begun(this);
  }

  set(fields: HookFields): void {
    this.sink.safely(() => {
      const { output, decision, exitCode, modifications, rag, quality, metadata } = fields;
      const changed = this.#fields;
      if (output !== undefined) changed.output_data = this.limited(output);
      if (decision !== undefined) changed.decision = labelOrNull(decision);
      if (exitCode !== undefined) changed.exit_code = integer(exitCode);
      if (modifications !== undefined) changed.modifications_made = this.limited(modifications);
      if (rag !== undefined) {
        changed.rag_query_performed = true;
        changed.rag_results = this.limited(rag);
      }
      if (quality !== undefined) {
        changed.quality_check_performed = true;
        changed.quality_results = this.limited(quality);
      }
      if (metadata !== undefined) changed.metadata = jsonObject(metadata, this.sink.fieldLimit);
    });
  }

  protected get columns(): Row {
    return {
      trace_id: this.owner.id,
      status: this.status,
      ...this.#fields,
      error_stack: stack(this.error),
      ...this.work,
    };
  }
}

export class CallRecording extends Part<CallFields> implements Call {
  readonly table = 'endpoint_calls';
  readonly #fields: Record<string, unknown>;

  constructor(
    sink: Sink,
    trace: TraceRecording,
    isLone: boolean,
    hook: HookRecording | undefined,
    options: CallOptions,
  ) {
    super(sink, trace, isLone);
    this.#fields = {
      hook_execution_id: hook?.id ?? null,
      service_name: label(options.service),
      endpoint_url: text(options.url, 8_192) ?? '',
      http_method: label(options.method ?? 'GET').toUpperCase(),
      headers: this.limited(options.headers),
      request_body: this.limited(options.requestBody),
      retry_count: 0,
      context: {},
    };
    this.isKept = sink.begun(this);
  }

  set(fields: CallFields): void {
    this.sink.safely(() => {
      const { statusCode, responseBody, requestBytes, responseBytes, retries, context } = fields;
      const changed = this.#fields;
      if (statusCode !== undefined) changed.status_code = whole(statusCode, 999);
      if (responseBody !== undefined) changed.response_body = this.limited(responseBody);
      if (requestBytes !== undefined) changed.request_bytes = whole(requestBytes);
      if (responseBytes !== undefined) changed.response_bytes = whole(responseBytes);
      if (retries !== undefined) changed.retry_count = whole(retries, 2 ** 31 - 1) ?? 0;
      if (context !== undefined) changed.context = jsonObject(context, this.sink.fieldLimit);
    });
  }

  protected get columns(): Row {
    const isDone = this.isEnded && !this.hasFailed && this.status === 'completed';
    const error =
      isDone || !this.isEnded || this.error !== undefined ? {} : { error_type: this.status };
    return {
      trace_id: this.owner.id,
      // A call that completed without a status code is stored with 200.
      status_code: isDone ? 200 : null,
      ...this.#fields,
      ...this.work,
      ...error,
    };
  }
}

export class ModelCallRecording extends Part<ModelCallFields> implements ModelCall {
  readonly table = 'endpoint_calls';
  readonly #options: { provider: string; model: string; endpoint: string };
  readonly #hook: HookRecording | undefined;
  #fields: ModelCallFields = {};

  constructor(
    sink: Sink,
    trace: TraceRecording,
    isLone: boolean,
    hook: HookRecording | undefined,
    { provider, model, endpoint }: ModelCallOptions,
  ) {
    super(sink, trace, isLone);
    this.#hook = hook;
    this.#options = {
      provider: label(provider),
      model: label(model),
      endpoint: text(endpoint, 8_192) ?? 'chat',
    };
    this.isKept = sink.begun(this);
  }

  set(fields: ModelCallFields): void {
    this.sink.safely(() => {
      this.#fields = { ...this.#fields, ...fields };
    });
  }

  protected override ending(): void {
    const { tokens, costUsd } = this.#fields;
    this.owner.add(tokens, cost(costUsd), this.#model, this.#options.provider);
    super.ending();
  }

  get #model(): string {
    return this.#fields.model === undefined ? this.#options.model : label(this.#fields.model);
  }

  protected get columns(): Row {
    const { tokens, costUsd, statusCode, requestId, finishReason, ttftMs, retries } = this.#fields;
    const isDone = this.isEnded && this.status === 'completed';
    const reported = cost(costUsd);
    return {
      trace_id: this.owner.id,
      hook_execution_id: this.#hook?.id ?? null,
      service_name: this.#options.provider,
      endpoint_url: this.#options.endpoint,
      http_method: 'POST',
      status_code: whole(statusCode, 999) ?? (isDone ? 200 : null),
      retry_count: whole(retries, 2 ** 31 - 1) ?? 0,
      context: {
        model: this.#model,
        ...(tokens === undefined ? {} : { usage: usageOf(tokens) }),
        ...(reported === null ? {} : { cost: { source: 'reported', usd: reported } }),
        ...(requestId === undefined ? {} : { request_id: label(requestId) }),
        ...(finishReason === undefined ? {} : { finish_reason: label(finishReason) }),
        ...(ttftMs === undefined ? {} : { ttft_ms: whole(ttftMs) }),
      },
      ...this.work,
      ...(this.isEnded && !isDone && this.error === undefined ? { error_type: this.status } : {}),
    };
  }
}

const usageOf = (tokens: Tokens): Row => ({
  input: whole(tokens.input) ?? 0,
  output: whole(tokens.output) ?? 0,
  cacheRead: whole(tokens.cacheRead) ?? 0,
  cacheCreation: whole(tokens.cacheCreation) ?? 0,
  cacheCreation1h: 0,
});

export class DecisionRecording implements Decision {
  readonly id = randomUUID();
  readonly #sink: Sink;
  readonly #trace: TraceRecording;
  readonly #row: Row;

  constructor(sink: Sink, trace: TraceRecording, decision: RoutingFields) {
    this.#sink = sink;
    this.#trace = trace;
    const { fieldLimit } = sink;
    const { agent, confidence, strategy, query, reason, breakdown, alternatives } = decision;
    this.#row = {
      id: this.id,
      created_at: now(),
      trace_id: trace.id,
      query_text: text(query, fieldLimit),
      agent_selected: label(agent),
      confidence_score: share(confidence) ?? 0,
      confidence_breakdown: json(breakdown, fieldLimit),
      routing_strategy: label(strategy),
      selection_reason: text(reason, fieldLimit),
      alternatives: json(alternatives, fieldLimit),
      cache_hit: decision.cacheHit === true,
      pattern_id: isUuid(decision.patternId) ? decision.patternId : null,
      decision_duration_ms: whole(decision.durationMs),
    };
    sink.put('agent_routing_decisions', this.id, this.#row, trace);
  }

  outcome(success: boolean): void {
    this.#sink.safely(() => {
      const row = { ...this.#row, actual_success: success };
      this.#sink.put('agent_routing_decisions', this.id, row, this.#trace);
    });
  }
}

/** @returns undefined: it names no pattern, or no outcome */
export function usageRow(
  usage: PatternUsage,
  trace: TraceRecording,
  limit?: number,
): Row | undefined {
  const { patternId, outcome, matchScore, expectedDurationMs, actualDurationMs } = usage;
  const isOutcome = ['success', 'failure', 'partial', 'skipped'].includes(outcome);
  if (!isUuid(patternId) || !isOutcome) return undefined;
  return {
    pattern_id: patternId,
    outcome,
    correlation_id: trace.correlationId,
    match_score: share(matchScore),
    actual_duration_ms: whole(actualDurationMs) ?? trace.durationMs,
    expected_duration_ms: whole(expectedDurationMs),
    deviations: json(usage.deviations, limit),
    user_feedback: text(usage.feedback, limit),
    used_at: now(),
  };
}
