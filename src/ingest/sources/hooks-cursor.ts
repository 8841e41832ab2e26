import { byOwnKey } from '../../core/values.js';
import type { AgentEvent, EventBase } from '../events.js';
import { atMsOf } from '../spool/frame.js';
import {
  failureOf,
  noteOf,
  numberOf,
  otherFields,
  parsedText,
  spanOf,
  textOf,
  type HookAdapter,
  type HookInput,
  type Payload,
} from './hook-payload.js';

/** Fields that every event has, and the user's address, which is private: they are not kept as details. */
const common: ReadonlySet<string> = new Set([
  'conversation_id',
  'generation_id',
  'session_id',
  'hook_event_name',
  'workspace_roots',
  'cursor_version',
  'user_email',
  'model',
  'transcript_path',
]);

/** Cursor: https://cursor.com/docs/agent/hooks. */
export const cursorHooks: HookAdapter = (input) => {
  const { payload, record } = input;
  const session = textOf(payload, 'conversation_id', 'session_id');
  const event = textOf(payload, 'hook_event_name') ?? record.event;
  if (session === undefined || event === undefined) return undefined;
  const roots = byOwnKey(payload, 'workspace_roots');
  const [root] = Array.isArray(roots) ? (roots as unknown[]) : [];
  return eventsOf(event, input, {
    source: 'hook',
    agent: 'cursor',
    session,
    turn: textOf(payload, 'generation_id'),
    at: atMsOf(record),
    place: {
      cwd: textOf(payload, 'cwd') ?? (typeof root === 'string' ? root : undefined),
      version: textOf(payload, 'cursor_version'),
      model: textOf(payload, 'model'),
      transcriptPath: textOf(payload, 'transcript_path'),
    },
  });
};

function eventsOf(event: string, input: HookInput, base: EventBase): AgentEvent[] | undefined {
  const { payload } = input;
  switch (event) {
    case 'sessionStart':
      return [{ kind: 'session_started', ...base, reason: textOf(payload, 'composer_mode') }];
    case 'sessionEnd':
      return [{ kind: 'session_ended', ...base, reason: textOf(payload, 'reason') }];
    case 'beforeSubmitPrompt':
      return [{ kind: 'prompt', ...base, text: textOf(payload, 'prompt') }];
    case 'preToolUse':
    case 'postToolUse':
    case 'postToolUseFailure':
      return toolEvents(event, input, base);
    case 'subagentStart':
    case 'subagentStop':
      return subagentEvents(event, payload, base);
    case 'stop':
      return stopEvents(payload, base);
    case 'afterAgentResponse':
    case 'afterAgentThought':
    case 'preCompact':
      return [
        noteOf(base, event, {
          text: textOf(payload, 'text', 'trigger'),
          data: otherFields(payload, common),
          durationMs: numberOf(payload, 'duration_ms'),
        }),
      ];
    default:
      return undefined;
  }
}

function toolEvents(
  event: string,
  { payload, pairs }: HookInput,
  base: EventBase,
): AgentEvent[] | undefined {
  const tool = textOf(payload, 'tool_name');
  if (tool === undefined) return undefined;
  const input = parsedText(byOwnKey(payload, 'tool_input'));
  const given = textOf(payload, 'tool_use_id');
  if (event === 'preToolUse') {
    const toolUse = given ?? pairs.startOf(base.session, tool, input, base.at);
    return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  }
  const toolUse = given ?? pairs.endOf(base.session, tool, input, base.at);
  const span = spanOf(base.at, numberOf(payload, 'duration', 'duration_ms'));
  const ended = { ...base, ...span, kind: 'tool_ended' as const, toolUse, tool, input };
  if (event === 'postToolUse') {
    const output = parsedText(byOwnKey(payload, 'tool_output') ?? byOwnKey(payload, 'result_json'));
    return [{ ...ended, output, outcome: 'completed' }];
  }
  const type = textOf(payload, 'failure_type') ?? 'tool_error';
  const failure = failureOf(type, textOf(payload, 'error_message', 'error'));
  const outcome =
    byOwnKey(payload, 'is_interrupt') === true
      ? 'cancelled'
      : type === 'permission_denied'
        ? 'denied'
        : 'failed';
  return [{ ...ended, outcome, ...failure }];
}

function subagentEvents(
  event: string,
  payload: Payload,
  base: EventBase,
): AgentEvent[] | undefined {
  const id = textOf(payload, 'subagent_id', 'agent_id');
  const type = textOf(payload, 'subagent_type', 'agent_type');
  if (id === undefined) return undefined;
  if (event === 'subagentStart') {
    return [{ kind: 'subagent_started', ...base, id, type, prompt: textOf(payload, 'task') }];
  }
  const status = textOf(payload, 'status');
  const error =
    status === 'error' ? { type: 'error', message: textOf(payload, 'error_message') } : undefined;
  const durationMs = numberOf(payload, 'duration_ms', 'duration');
  return [{ kind: 'subagent_ended', ...base, id, type, error, durationMs }];
}

function stopEvents(payload: Payload, base: EventBase): AgentEvent[] {
  switch (textOf(payload, 'status')) {
    case 'aborted':
      return [{ kind: 'interrupted', ...base }];
    case 'error': {
      const message = textOf(payload, 'error_message', 'error');
      return [{ kind: 'turn_ended', ...base, error: { type: 'error', message } }];
    }
    default:
      return [{ kind: 'turn_ended', ...base }];
  }
}
