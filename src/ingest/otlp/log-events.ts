import type { AgentEvent, EventBase } from '../events.js';
import { byOwnKey } from '../../core/values.js';
import { timeOf, typeOfApiError } from '../sources/source.js';
import { createHash } from 'node:crypto';
import type { Figure } from './kept-trace.js';
import type { TelemetryLog, TelemetryPoint, TelemetrySpan } from './decode.js';
import {
  costAt,
  count,
  jsonAt,
  millisecondsAt,
  numberAt,
  statusCodeAt,
  textAt,
} from './span-facts.js';

/**
 * What agents' programs tell in their logs beside what hooks and transcripts tell: costs, ids of requests, decisions.
 * Ids are those of the other sources; what has none is left to these.
 *
 * @returns undefined for a log that nobody here knows
 */
export function logEvents(log: TelemetryLog): readonly AgentEvent[] | undefined {
  const event = log.event ?? (typeof log.body === 'string' ? log.body : '');
  const [, program, name] = /^(claude_code|codex|gemini_cli)\.(.+)$/.exec(event) ?? [];
  const service = textAt(log.resource, 'service.name') ?? '';
  if (program === 'codex') return codexEvents(name ?? '', log);
  if (program === 'gemini_cli') return geminiEvents(name ?? '', log);
  if (program === 'claude_code') return claudeEvents(name ?? '', log);
  // Claude Code writes its event's name without the prefix.
  return service === 'claude-code' ? claudeEvents(event, log) : undefined;
}

function baseOf(
  log: TelemetryLog,
  agent: string,
  session: string,
  turn: string | undefined,
): EventBase {
  const { attributes, resource } = log;
  return {
    source: 'telemetry',
    agent,
    session,
    turn,
    at: timeOf(textAt(attributes, 'event.timestamp')) ?? log.at,
    place: { version: textAt(attributes, 'app.version') ?? textAt(resource, 'service.version') },
  };
}

const claudeNotes: ReadonlySet<string> = new Set([
  'api_refusal',
  'api_retries_exhausted',
  'compaction',
  'internal_error',
  'mcp_server_connection',
  'permission_mode_changed',
  'skill_activated',
]);

const claudeSilent: ReadonlySet<string> = new Set([
  'api_request_body',
  'api_response_body',
  'assistant_response',
  'at_mention',
  'auth',
  'feedback_survey',
  'hook_execution_complete',
  'hook_execution_start',
  'hook_registered',
  'plugin_installed',
  'plugin_loaded',
  'subagent_completed',
]);

/** Claude Code: https://code.claude.com/docs/en/monitoring-usage. */
function claudeEvents(name: string, log: TelemetryLog): readonly AgentEvent[] | undefined {
  const { attributes } = log;
  const session = textAt(attributes, 'session.id');
  if (session === undefined) return undefined;
  const base = baseOf(log, 'claude-code', session, textAt(attributes, 'prompt.id'));
  // Which subagent it happened in is not told: where another source has told it, that stays.
  const somewhere = { ...base, turn: undefined };
  switch (name) {
    case 'user_prompt': {
      if (base.turn === undefined) return [];
      const text = textAt(attributes, 'prompt');
      return [{ kind: 'prompt', ...base, text: text === '<REDACTED>' ? undefined : text }];
    }
    case 'api_request':
      return requestEvents(log, isMain(log) ? base : somewhere);
    case 'api_error':
      return [failedCall(log, isMain(log) ? base : somewhere, claudeApi)];
    case 'tool_result':
      return claudeTool(log, somewhere);
    case 'tool_decision':
      return claudeDecision(log, somewhere);
    default:
      if (claudeNotes.has(name)) return [noteOf(name, log, base)];
      return claudeSilent.has(name) ? [] : undefined;
  }
}

function isMain({ attributes }: TelemetryLog): boolean {
  const source = textAt(attributes, 'query_source') ?? '';
  return source.startsWith('repl_main_thread') || source === 'sdk';
}

type Api = { provider: string; endpoint: string };

const claudeApi: Api = { provider: 'anthropic', endpoint: '/v1/messages' };
const codexApi: Api = { provider: 'openai', endpoint: '/v1/responses' };
const geminiApi: Api = { provider: 'google', endpoint: '/v1beta/models:generateContent' };

/** An error of the API is a call of a model that has failed. A transcript that names the request tells of the same row. */
function failedCall(log: TelemetryLog, base: EventBase, api: Api): AgentEvent {
  const { attributes } = log;
  const requestId = textAt(attributes, 'request_id');
  const id = requestId ?? textAt(attributes, 'client_request_id');
  const sequence = numberAt(attributes, 'event.sequence') ?? '';
  const message = textAt(attributes, 'error', 'error.message', 'error_message', 'message');
  return {
    kind: 'model_call',
    ...base,
    message: id === undefined ? `api_error:${sequence}:${base.at}` : `request:${id}`,
    requestId,
    ...api,
    model: textAt(attributes, 'model')?.slice(0, 256),
    durationMs: millisecondsAt(attributes, 'duration_ms'),
    statusCode: statusCodeAt(attributes, 'status_code'),
    attempt: count(numberAt(attributes, 'attempt')),
    error: {
      type: textAt(attributes, 'error_type', 'error.type') ?? typeOfApiError(message),
      message,
    },
  };
}

function requestEvents(log: TelemetryLog, base: EventBase): readonly AgentEvent[] {
  const { attributes } = log;
  const requestId = textAt(attributes, 'request_id');
  // Gateways may leave out the id of the request; the program's own is only known here.
  const id = requestId ?? textAt(attributes, 'client_request_id');
  if (id === undefined) return [];
  const of = (name: string) => count(numberAt(attributes, name));
  return [
    {
      kind: 'model_call',
      ...base,
      message: `request:${id}`,
      requestId,
      ...claudeApi,
      model: textAt(attributes, 'model')?.slice(0, 256),
      durationMs: millisecondsAt(attributes, 'duration_ms'),
      costUsd: costAt(attributes),
      timeToFirstTokenMs: millisecondsAt(attributes, 'ttft_ms'),
      usage: {
        input: of('input_tokens'),
        output: of('output_tokens'),
        cacheRead: of('cache_read_tokens'),
        cacheCreation: of('cache_creation_tokens'),
        cacheCreation1h: 0,
      },
    },
  ];
}

function claudeTool(log: TelemetryLog, base: EventBase): readonly AgentEvent[] {
  const { attributes } = log;
  const toolUse = textAt(attributes, 'tool_use_id');
  if (toolUse === undefined) return [];
  const hasFailed = String(attributes.success) === 'false';
  const isDenied = textAt(attributes, 'decision_type') === 'reject';
  const type = textAt(attributes, 'error_type') ?? 'tool_error';
  return [
    {
      kind: 'tool_ended',
      ...base,
      toolUse,
      tool: textAt(attributes, 'tool_name'),
      durationMs: millisecondsAt(attributes, 'duration_ms'),
      input: jsonAt(attributes, 'tool_input', 'tool_parameters'),
      outcome: isDenied ? 'denied' : hasFailed ? 'failed' : 'completed',
      error: hasFailed ? { type, message: textAt(attributes, 'error') } : undefined,
    },
  ];
}

function claudeDecision(log: TelemetryLog, base: EventBase): readonly AgentEvent[] {
  const { attributes } = log;
  const toolUse = textAt(attributes, 'tool_use_id');
  const decision = textAt(attributes, 'decision');
  if (toolUse === undefined || decision === undefined) return [];
  return [
    {
      kind: 'permission',
      ...base,
      toolUse,
      tool: textAt(attributes, 'tool_name'),
      decision: decision === 'reject' ? 'deny' : 'allow',
      by: textAt(attributes, 'source'),
    },
  ];
}

/** Agents' programs whose spans are not kept: their sessions come from other sources, and would be there twice. */
export function isOfProgram({ name, resource }: TelemetrySpan): boolean {
  const service = textAt(resource, 'service.name') ?? '';
  return name.startsWith('claude_code.') || /^(?:claude-code|gemini-cli|codex)/.test(service);
}

/**
 * Spans of Claude Code name tools as its transcripts do, and complete their rows. Its calls of models are told by logs: a
 * span names the message and a log the request, and only a transcript says that both are one call.
 */
export function programSpanEvents(span: TelemetrySpan): readonly AgentEvent[] {
  const { attributes, startedAt } = span;
  const session = textAt(attributes, 'session.id');
  const toolUse = textAt(attributes, 'tool_use_id', 'gen_ai.tool.call.id');
  const tool = textAt(attributes, 'tool_name', 'gen_ai.tool.name');
  if (span.name !== 'claude_code.tool' || session === undefined) return [];
  if (toolUse === undefined || tool === undefined) return [];
  const subagent = textAt(attributes, 'agent_id');
  const base = { source: 'telemetry', agent: 'claude-code', session, subagent } as const;
  return [{ ...base, at: startedAt, kind: 'tool_started', toolUse, tool }];
}

/** Claude Code's metrics of which no log, hook or transcript tells: by name, then by type; '' stands for any other type. */
const figures: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map([
  ['claude_code.lines_of_code.count', { added: 'lines_added', removed: 'lines_removed' }],
  ['claude_code.commit.count', { '': 'commits' }],
  ['claude_code.pull_request.count', { '': 'pull_requests' }],
  [
    'claude_code.active_time.total',
    { user: 'active_user_s', cli: 'active_cli_s', '': 'active_other_s' },
  ],
]);

/** Of which figure of which session a data point is; undefined: it is not kept. */
export function figureOf({ metric, value, attributes, resource }: TelemetryPoint) {
  const types = figures.get(metric);
  const session = textAt(attributes, 'session.id') ?? textAt(resource, 'session.id');
  const type = textAt(attributes, 'type') ?? '';
  const name = types && (byOwnKey(types, type) ?? byOwnKey(types, ''));
  return name === undefined || session === undefined || value < 0 ? undefined : { name, session };
}

/**
 * A point as it is kept. Its key tells it from others, and a point that came again is known by it: of a sum since a start the key
 * is the same for all points, of which the largest counts; a start that is another one begins anew. What else a point says (who,
 * where) is only in the hash.
 */
export function figureAt(point: TelemetryPoint): Figure | undefined {
  const figure = figureOf(point);
  if (figure === undefined) return undefined;
  const { resource, attributes, startedAt = null, at, isCumulative, value } = point;
  const said = [resource, attributes].map((each) => Object.entries(each).toSorted(byName));
  const key = createHash('sha256')
    .update(JSON.stringify([point.metric, said, startedAt, isCumulative ? null : at]))
    .digest('base64url')
    .slice(0, 12);
  const undated = isCumulative && startedAt === null ? ({ isUndated: true } as const) : {};
  return { ...figure, key, from: startedAt ?? at, at, sinceStart: isCumulative, ...undated, value };
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

/** Codex names calls of tools as its rollouts do, but neither turns nor calls of models. */
function codexEvents(name: string, log: TelemetryLog): readonly AgentEvent[] | undefined {
  const { attributes } = log;
  const session = textAt(attributes, 'conversation.id');
  if (session === undefined) return undefined;
  const base = baseOf(log, 'codex', session, undefined);
  const toolUse = textAt(attributes, 'call_id');
  const tool = textAt(attributes, 'tool_name');
  if (name === 'tool_decision' && toolUse !== undefined) {
    const told = textAt(attributes, 'decision') ?? '';
    const decision = /^(?:denied|abort)/.test(told) ? 'deny' : 'allow';
    const by = textAt(attributes, 'source');
    return [{ kind: 'permission', ...base, toolUse, tool, decision, by }];
  }
  // A call that went well is told by the rollout, one that failed by nothing else.
  const hasFailed =
    (statusCodeAt(attributes) ?? 0) >= 400 || textAt(attributes, 'error.message') !== undefined;
  return name === 'api_error' || (name === 'api_request' && hasFailed)
    ? [failedCall(log, base, codexApi)]
    : [];
}

/** Gemini CLI names neither: what only it tells is which model was chosen, and why. */
function geminiEvents(name: string, log: TelemetryLog): readonly AgentEvent[] | undefined {
  const { attributes } = log;
  const session = textAt(attributes, 'session.id', 'gen_ai.conversation.id');
  if (session === undefined) return undefined;
  const base = baseOf(log, 'gemini', session, undefined);
  const model = textAt(attributes, 'decision_model');
  if (name === 'model_routing' && model !== undefined) {
    return [
      {
        kind: 'routing',
        ...base,
        id: `model:${base.at}`,
        selected: model,
        strategy: textAt(attributes, 'decision_source') ?? 'model_routing',
        reason: textAt(attributes, 'reasoning'),
        durationMs: millisecondsAt(attributes, 'routing_latency_ms'),
      },
    ];
  }
  return name === 'api_error' ? [failedCall(log, base, geminiApi)] : [];
}

function noteOf(name: string, log: TelemetryLog, base: EventBase): AgentEvent {
  const { attributes } = log;
  const sequence = numberAt(attributes, 'event.sequence');
  const text = textAt(attributes, 'error', 'error_message', 'error.message', 'message');
  return {
    kind: 'note',
    ...base,
    event: name === 'compaction' ? 'Compact' : name,
    id: `${name}:${sequence ?? ''}:${base.at}`,
    text,
    data: { ...attributes },
    error: noteError(name, log, text),
  };
}

/** That the tries are used up is told beside the error of the last one, which counts. */
function noteError(name: string, { attributes }: TelemetryLog, message: string | undefined) {
  const isBroken = name === 'mcp_server_connection' && textAt(attributes, 'status') === 'failed';
  if (name !== 'internal_error' && !isBroken) return undefined;
  return { type: textAt(attributes, 'error_name', 'error_code', 'error_type') ?? name, message };
}
