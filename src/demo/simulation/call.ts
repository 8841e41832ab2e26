import { Random } from '../random.js';
import type { CallRow, ErrorRow } from '../rows.js';
import { modelNamed } from '../vocabulary/agents.js';
import { serviceNamed, type Failure, type Service } from '../vocabulary/services.js';
import { sleep, type Process } from './scheduler.js';
import type { Run, Trouble } from './tree.js';
import { demoTag } from '../options.js';
import { errorKind } from '../vocabulary/failures.js';

type CallOptions = {
  /** Median of one attempt, ms; default: the service's. */
  latencyMs?: number;
  hookId?: string;
  request?: CallRow['request_body'];
  response?: CallRow['response_body'];
};

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
    context: {},
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
  const trouble = yield* callService(run, serviceNamed(model.service), {
    latencyMs: model.latencyMs * run.agent.pace,
    request: { model: model.name, max_tokens: 8_192, stream: true },
    response: { stop_reason: 'tool_use', usage: { input_tokens: input, output_tokens: output } },
  });
  if (trouble) return trouble;
  const cached = Math.round(input * random.between(0.4, 0.9));
  const cacheWrite = model.cacheWrite > 0 ? Math.round(input * 0.1) : 0;
  const { trace } = run;
  trace.input_tokens += input - cached;
  trace.output_tokens += output;
  trace.cache_read_tokens += cached;
  trace.cache_creation_tokens += cacheWrite;
  trace.cost_usd +=
    ((input - cached) * model.input +
      output * model.output +
      cached * model.cacheRead +
      cacheWrite * model.cacheWrite) /
    1e6;
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
