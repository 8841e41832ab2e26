import { firstOf } from '../../core/values.js';
import { type Run, type Trouble } from './tree.js';
import { Random } from '../random.js';
import type { HookRow, CallRow, ErrorRow } from '../rows.js';
import { hooksFor, type Hook } from '../vocabulary/hooks.js';
import { services, serviceNamed, type Failure, type Service } from '../vocabulary/services.js';

import { sleep, type Process } from './scheduler.js';
import { modelNamed } from '../vocabulary/agents.js';
import { demoTag } from '../options.js';
import { errorKind } from '../vocabulary/failures.js';

type CallOptions = {
  /** Median of one attempt, ms; default: the service's. */
  latencyMs?: number;
  hookId?: string;
  request?: CallRow['request_body'];
  response?: CallRow['response_body'];
  /** Of a call of a model, as ingest stores it; of one that failed only the model is known. */
  model?: { model: string; usage: ModelUsage; cost: { usd: number; source: 'computed' } };
};

type ModelUsage = { input: number; output: number; cacheRead: number; cacheCreation: number };

const attempts = 3;
/** Not every client tries again. */
const retryShare = 0.7;

/** Calls a service, again after a failure, and records the whole as one row when it is over. */
export function* callService(
  run: Run,
  service: Service,
  options: CallOptions = {},
): Process<Trouble | null> {
  const { random, clock, world, recorder } = run.tree;
  const startedAt = clock.now;
  let failure: Failure | null = null;
  let retries = 0;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    retries = attempt;
    const incident = world.incidents.failingService(service.name, clock.now);
    failure = random.chance(Math.max(service.failureRate, incident))
      ? random.weighted(service.failures)
      : null;
    const latency = random.logNormal(options.latencyMs ?? service.latencyMs, service.sigma);
    yield sleep(attemptMs(random, latency, failure));
    if (!failure || failure.statusCode === 404 || !random.chance(retryShare)) break;
    if (attempt < attempts - 1) yield sleep(200 * 2 ** attempt * random.between(0.8, 1.2));
  }
  const message = failure?.message.replace('{n}', String(random.integer(2, 30))) ?? null;
  const url = random.pick(service.urls).replace('{project}', run.trace.project);
  recorder.put('endpoint_calls', {
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    trace_id: run.trace.id,
    hook_execution_id: options.hookId ?? null,
    service_name: service.name,
    endpoint_url: url,
    http_method: service.method,
    status_code: failure ? failure.statusCode : 200,
    headers: { 'content-type': 'application/json', 'x-correlation-id': run.trace.correlation_id },
    request_body: options.request ?? null,
    response_body: failure ? { error: { message } } : (options.response ?? null),
    request_bytes: Math.round(random.logNormal(service.requestBytes, 0.5)),
    response_bytes: failure ? (failure.statusCode ? 240 : null) : bytes(random, service),
    started_at: startedAt,
    completed_at: clock.now,
    duration_ms: clock.now - startedAt,
    error_type: failure?.errorType ?? null,
    error_message: message,
    retry_count: retries,
    context: failure && options.model ? { model: options.model.model } : (options.model ?? {}),
  });
  if (!failure || message === null) return null;
  noteError(run, failure.errorType, { endpoint_url: url });
  return { errorType: failure.errorType, message: `${service.name}: ${message}` };
}

/** One call of the trace's model; tokens and cost add up on the trace. */
export function* callModel(run: Run): Process<Trouble | null> {
  const { random } = run.tree;
  const model = modelNamed(run.trace.model);
  const input = Math.round(random.logNormal(9_000, 0.6));
  const output = Math.round(random.logNormal(420, 0.7));
  const cached = Math.round(input * random.between(0.4, 0.9));
  const uncached = input - cached;
  const written = model.cacheWrite > 0 ? Math.min(uncached, Math.round(input * 0.1)) : 0;
  const usage = { input: uncached - written, output, cacheRead: cached, cacheCreation: written };
  const micros =
    usage.input * model.input +
    output * model.output +
    cached * model.cacheRead +
    written * model.cacheWrite;
  const cost = { usd: Math.round(micros) / 1e6, source: 'computed' } as const;
  const trouble = yield* callService(run, serviceNamed(model.service), {
    latencyMs: model.latencyMs * run.agent.pace,
    request: { model: model.name, max_tokens: 8_192, stream: true },
    response: { stop_reason: 'tool_use', usage: { input_tokens: input, output_tokens: output } },
    model: { model: model.name, usage, cost },
  });
  if (trouble) return trouble;
  const { trace } = run;
  trace.input_tokens += usage.input;
  trace.output_tokens += output;
  trace.cache_read_tokens += cached;
  trace.cache_creation_tokens += written;
  trace.cost_usd += cost.usd;
  return null;
}

/** A refusal comes fast, a broken upstream late. */
function attemptMs(random: Random, latency: number, failure: Failure | null): number {
  if (!failure) return latency;
  if (failure.statusCode === null || failure.statusCode === 504) return 2_000 + 3 * latency;
  return random.between(10, 120);
}

function bytes(random: Random, service: Service): number {
  return Math.round(random.logNormal(service.responseBytes, 0.7));
}

type Where = Partial<Pick<ErrorRow, 'agent_name' | 'hook_type' | 'endpoint_url'>>;

/** Notes one occurrence of an error for error_patterns. */
export function noteError(run: Run, errorType: string, where: Where): void {
  const { clock, recorder } = run.tree;
  const { resolutionSuccessRate, ...kind } = errorKind(errorType);
  const place = where.endpoint_url ?? where.hook_type ?? where.agent_name ?? '';
  const fingerprint = `${demoTag}:${errorType}:${place}`;
  recorder.error({
    id: new Random('error', fingerprint).uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    fingerprint,
    error_type: errorType,
    ...kind,
    agent_name: where.agent_name ?? null,
    hook_type: where.hook_type ?? null,
    endpoint_url: where.endpoint_url ?? null,
    occurrence_count: 1,
    first_occurrence_at: clock.now,
    last_occurrence_at: clock.now,
    example_trace_ids: [run.trace.id],
    resolution_success_rate: resolutionSuccessRate,
    resolved_at: null,
    tags: [demoTag],
  });
}

/** What a hook is told about the tool that it runs before or after. */
export type ToolUse = { name: string; id: string; file: string | null };

/** Agent CLIs give a hook so long, ms. */
const timeLimit = 10_000;

/** Runs the hooks of one event, one after the other; gives their rows. */
export function* runHooks(run: Run, type: string, tool: ToolUse | null = null): Process<HookRow[]> {
  const rows: HookRow[] = [];
  for (const hook of hooksFor(type, tool?.name ?? null)) {
    if (run.tree.random.chance(hook.share)) rows.push(yield* runHook(run, hook, tool));
  }
  return rows;
}

function* runHook(run: Run, hook: Hook, tool: ToolUse | null): Process<HookRow> {
  const { random, clock, world, recorder } = run.tree;
  const row = startHook(run, hook, tool);
  recorder.put('hook_executions', row);

  if (hook.does === 'rag' && random.chance(0.7)) yield* askKnowledge(run, row);
  if (hook.does === 'quality' && random.chance(0.6)) {
    yield* callService(run, services.intelligence, { hookId: row.id });
  }
  const slowdown = world.incidents.hookSlowdown(hook.name, clock.now);
  // One in two hundred finds a cold cache or a busy machine.
  const tail = random.chance(0.005) ? random.between(8, 30) : 1;
  const own = random.logNormal(hook.medianMs, hook.sigma) * slowdown * tail;
  const left = row.started_at + timeLimit - clock.now;
  yield sleep(Math.max(1, Math.min(own, left)));

  finishHook(run, hook, row, own > left);
  recorder.put('hook_executions', row);
  return row;
}

/** One use of a tool, as ingest stores it: a row beside those of its hooks. */
export function* recordToolUse(
  run: Run,
  tool: ToolUse,
  work: Process<Trouble | null>,
): Process<Trouble | null> {
  const { clock, recorder } = run.tree;
  const row = startHook(run, { type: 'ToolUse', name: 'tool' }, tool);
  recorder.put('hook_executions', row);
  const trouble = yield* work;
  row.completed_at = clock.now;
  row.updated_at = clock.now;
  row.duration_ms = clock.now - row.started_at;
  row.status = trouble ? 'failed' : 'completed';
  row.error_type = trouble?.errorType ?? null;
  row.error_message = trouble?.message ?? null;
  recorder.put('hook_executions', row);
  return trouble;
}

function startHook(run: Run, hook: Pick<Hook, 'type' | 'name'>, tool: ToolUse | null): HookRow {
  const { random, clock } = run.tree;
  run.hooks += 1;
  return {
    id: random.uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    trace_id: run.trace.id,
    hook_type: hook.type,
    hook_name: hook.name,
    execution_order: run.hooks,
    tool_name: tool?.name ?? null,
    tool_use_id: tool?.id ?? null,
    agent_id: run.depth > 0 ? run.agent.name : null,
    file_path: tool?.file ?? null,
    status: 'in_progress',
    started_at: clock.now,
    completed_at: null,
    duration_ms: null,
    exit_code: null,
    decision: null,
    input_data: tool ? { tool_name: tool.name, tool_input: { file_path: tool.file } } : null,
    output_data: null,
    modifications_made: null,
    rag_query_performed: false,
    rag_results: null,
    quality_check_performed: false,
    quality_results: null,
    error_type: null,
    error_message: null,
    error_stack: null,
    metadata: { cli: 'claude-code' },
  };
}

function* askKnowledge(run: Run, row: HookRow): Process {
  const { random } = run.tree;
  row.rag_query_performed = true;
  yield* callService(run, services.embeddings, { hookId: row.id });
  const trouble = yield* callService(run, services.rag, {
    hookId: row.id,
    request: { query: firstOf(run.trace.prompt_text, 120), match_count: 5 },
  });
  row.rag_results = trouble
    ? { matches: 0, error: trouble.errorType }
    : { matches: random.integer(1, 5), top_score: Math.round(random.between(60, 97)) / 100 };
}

function finishHook(run: Run, hook: Hook, row: HookRow, late: boolean): void {
  const { random, clock } = run.tree;
  row.completed_at = clock.now;
  row.updated_at = clock.now;
  row.duration_ms = clock.now - row.started_at;
  if (late) {
    row.status = 'timeout';
    fail(run, row, 'HookTimeout', `hook ${hook.name} did not answer within ${timeLimit / 1000} s`);
    return;
  }
  if (random.chance(hook.failureRate)) {
    row.status = 'failed';
    row.exit_code = random.pick([1, 1, 126, 137]);
    if (hook.name === 'type-check') {
      const errors = random.integer(1, 40);
      fail(run, row, 'TypeCheckError', `${errors} errors found by the type checker`);
    } else {
      fail(run, row, 'HookCrash', `hook ${hook.name} exited with code ${row.exit_code}`);
      row.error_stack = `${hook.name}: line ${random.integer(3, 90)}: ${row.error_message ?? ''}\n    at main (${hook.name}.sh:12)`;
    }
    return;
  }
  row.status = 'completed';
  row.exit_code = 0;
  addResult(random, hook, row);
}

function addResult(random: Random, hook: Hook, row: HookRow): void {
  if (hook.does === 'policy') {
    row.decision = random.chance(0.012) ? 'deny' : random.chance(0.05) ? 'ask' : 'allow';
    row.output_data = { permissionDecision: row.decision };
  } else if (hook.does === 'format' && random.chance(0.4)) {
    row.modifications_made = { lines: random.integer(1, 30), formatter: 'prettier' };
  } else if (hook.does === 'quality') {
    const score = Math.round(random.between(55, 100)) / 100;
    row.quality_check_performed = true;
    row.quality_results = { score, verdict: score < 0.65 ? 'needs review' : 'good' };
  }
}

function fail(run: Run, row: HookRow, errorType: string, message: string): void {
  row.error_type = errorType;
  row.error_message = message;
  noteError(run, errorType, { hook_type: row.hook_type });
}
