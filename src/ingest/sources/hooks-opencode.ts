import { byOwnKey, isObject } from '../../core/values.js';
import type { AgentEvent, EventBase } from '../events.js';
import {
  noteOf,
  numberOf,
  objectOf,
  textOf,
  timeOf,
  type HookAdapter,
  type Payload,
} from './hook-payload.js';
import { countOf } from './source.js';

/** OpenCode: what the plugin of trace-console passes on of https://opencode.ai/docs/plugins. */
export const opencodeHooks: HookAdapter = ({ payload, record }) => {
  const { event } = record;
  const properties = objectOf(payload, 'properties') ?? payload;
  const info = objectOf(properties, 'info');
  const session =
    textOf(properties, 'sessionID') ??
    (info &&
      (textOf(info, 'sessionID') ??
        (event?.startsWith('session.') ? textOf(info, 'id') : undefined)));
  if (session === undefined || event === undefined) return undefined;
  const base: EventBase = {
    source: 'hook',
    agent: 'opencode',
    session,
    at: timeOf(record, undefined),
    place: { cwd: textOf(payload, 'cwd'), version: info && textOf(info, 'version') },
  };
  return eventsOf(event, properties, base);
};

function eventsOf(event: string, said: Payload, base: EventBase): AgentEvent[] | undefined {
  switch (event) {
    case 'session.created':
      return [{ kind: 'session_started', ...base }];
    case 'session.deleted':
      return [{ kind: 'session_ended', ...base, reason: 'deleted' }];
    case 'session.idle':
      return [{ kind: 'turn_ended', ...base }];
    case 'session.error':
      return errorEvents(said, base);
    case 'session.compacted':
      return [noteOf(base, event, {})];
    case 'chat.message':
      return promptEvents(said, base);
    case 'tool.execute.before':
    case 'tool.execute.after':
      return toolEvents(event, said, base);
    case 'message.updated':
      return messageEvents(said, base);
    case 'permission.asked':
    case 'permission.updated':
    case 'permission.replied':
      return permissionEvents(event, said, base);
    default:
      return undefined;
  }
}

function errorEvents(said: Payload, base: EventBase): AgentEvent[] {
  const error = objectOf(said, 'error');
  const type = (error && textOf(error, 'name')) ?? 'error';
  if (type === 'MessageAbortedError') return [{ kind: 'interrupted', ...base }];
  const data = error && objectOf(error, 'data');
  return [
    { kind: 'turn_ended', ...base, error: { type, message: data && textOf(data, 'message') } },
  ];
}

function promptEvents(said: Payload, base: EventBase): AgentEvent[] {
  const message = objectOf(said, 'message');
  const parts = byOwnKey(said, 'parts');
  const texts = (Array.isArray(parts) ? (parts as unknown[]) : [])
    .filter(isObject)
    .flatMap((part) => textOf(part, 'text') ?? []);
  const turn = textOf(said, 'messageID') ?? (message && textOf(message, 'id'));
  const text = texts.length > 0 ? texts.join('\n') : undefined;
  return [{ kind: 'prompt', ...base, turn, text }];
}

function toolEvents(event: string, said: Payload, base: EventBase): AgentEvent[] | undefined {
  const toolUse = textOf(said, 'callID');
  const tool = textOf(said, 'tool');
  if (toolUse === undefined || tool === undefined) return undefined;
  const input = byOwnKey(said, 'args');
  if (event === 'tool.execute.before') {
    return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  }
  const output = byOwnKey(said, 'output');
  const metadata = objectOf(said, 'metadata');
  const exitCode = metadata && numberOf(metadata, 'exit');
  const failed = exitCode !== undefined && exitCode !== 0;
  return [
    {
      kind: 'tool_ended',
      ...base,
      toolUse,
      tool,
      input,
      output,
      exitCode,
      outcome: failed ? 'failed' : 'completed',
      error: failed ? { type: 'tool_error', message: `Exit code ${exitCode}` } : undefined,
    },
  ];
}

/** An answer of the model, once it is complete: it comes again with every piece. */
function messageEvents(said: Payload, base: EventBase): AgentEvent[] {
  const info = objectOf(said, 'info');
  const message = info && textOf(info, 'id');
  if (!info || message === undefined || textOf(info, 'role') !== 'assistant') return [];
  const time = objectOf(info, 'time') ?? {};
  const created = numberOf(time, 'created');
  const completed = numberOf(time, 'completed');
  if (completed === undefined) return [];
  const tokens = objectOf(info, 'tokens') ?? {};
  const cache = objectOf(tokens, 'cache') ?? {};
  const error = objectOf(info, 'error');
  return [
    {
      kind: 'model_call',
      ...base,
      at: completed,
      turn: textOf(info, 'parentID'),
      message,
      provider: textOf(info, 'providerID') ?? 'unknown',
      model: textOf(info, 'modelID'),
      startedAt: created,
      durationMs: created === undefined ? undefined : completed - created,
      usage: {
        input: countOf(tokens.input),
        output: countOf(tokens.output) + countOf(tokens.reasoning),
        cacheRead: countOf(cache.read),
        cacheCreation: countOf(cache.write),
      },
      costUsd: numberOf(info, 'cost'),
      finishReason: textOf(info, 'finish'),
      error: error && { type: textOf(error, 'name') ?? 'error' },
    },
  ];
}

function permissionEvents(event: string, said: Payload, base: EventBase): AgentEvent[] {
  const tool = textOf(said, 'permission', 'type');
  const call = objectOf(said, 'tool');
  const toolUse = textOf(said, 'callID') ?? (call && textOf(call, 'callID'));
  if (event !== 'permission.replied') {
    const reason = textOf(said, 'title');
    return [{ kind: 'permission', ...base, decision: 'ask', toolUse, tool, reason }];
  }
  const decision = textOf(said, 'response', 'reply') === 'reject' ? 'deny' : 'allow';
  return [{ kind: 'permission', ...base, decision, toolUse, tool, by: 'user' }];
}
