import { byOwnKey } from '../../core/values.js';
import type { AgentEvent, EventBase } from '../events.js';
import {
  noteOf,
  objectOf,
  otherFields,
  parsedText,
  textOf,
  timeOf,
  type HookAdapter,
  type HookInput,
  type Payload,
} from './hook-payload.js';

const common: ReadonlySet<string> = new Set([
  'sessionId',
  'session_id',
  'timestamp',
  'cwd',
  'hook_event_name',
  'transcriptPath',
  'transcript_path',
]);

/**
 * GitHub Copilot CLI: https://docs.github.com/en/copilot/reference/hooks-reference. The event's name comes as the hook's
 * argument; written in PascalCase it comes in the payload, in Claude's spelling of the fields.
 */
export const copilotHooks: HookAdapter = (input) => {
  const { payload, record } = input;
  const session = textOf(payload, 'sessionId', 'session_id');
  const event = record.event ?? textOf(payload, 'hook_event_name');
  if (session === undefined || event === undefined) return undefined;
  const base: EventBase = {
    source: 'hook',
    agent: 'copilot',
    session,
    at: timeOf(record, byOwnKey(payload, 'timestamp')),
    place: {
      cwd: textOf(payload, 'cwd'),
      transcriptPath: textOf(payload, 'transcriptPath', 'transcript_path'),
    },
  };
  return eventsOf(event.charAt(0).toLowerCase() + event.slice(1), input, base);
};

function eventsOf(event: string, input: HookInput, base: EventBase): AgentEvent[] | undefined {
  const { payload } = input;
  switch (event) {
    case 'sessionStart':
      return [{ kind: 'session_started', ...base, reason: textOf(payload, 'source') }];
    case 'sessionEnd':
      return [{ kind: 'session_ended', ...base, reason: textOf(payload, 'reason') }];
    case 'userPromptSubmitted':
    case 'userPromptSubmit':
      return [{ kind: 'prompt', ...base, turn: `at-${base.at}`, text: textOf(payload, 'prompt') }];
    case 'preToolUse':
    case 'postToolUse':
      return toolEvents(event, input, base);
    case 'agentStop':
    case 'stop':
      return [{ kind: 'turn_ended', ...base }];
    case 'subagentStop':
      return subagentEvents(payload, base);
    case 'errorOccurred': {
      const error = objectOf(payload, 'error');
      const text = error && textOf(error, 'message');
      return [noteOf(base, event, { text, data: otherFields(payload, common) })];
    }
    case 'preCompact':
    case 'notification':
      return [
        noteOf(base, event, {
          text: textOf(payload, 'message', 'trigger'),
          data: otherFields(payload, common),
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
  const tool = textOf(payload, 'toolName', 'tool_name');
  if (tool === undefined) return undefined;
  const input = parsedText(byOwnKey(payload, 'toolArgs') ?? byOwnKey(payload, 'tool_input'));
  const given = textOf(payload, 'toolCallId', 'tool_use_id');
  if (event === 'preToolUse') {
    const toolUse = given ?? pairs.startOf(base.session, tool, input, base.at);
    return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  }
  const toolUse = given ?? pairs.endOf(base.session, tool, input, base.at);
  const output = byOwnKey(payload, 'toolResult') ?? byOwnKey(payload, 'tool_result');
  const result = objectOf(payload, 'toolResult') ?? objectOf(payload, 'tool_result');
  const ended = { kind: 'tool_ended' as const, ...base, toolUse, tool, input, output };
  const message = result && textOf(result, 'textResultForLlm', 'text_result_for_llm');
  switch (result && textOf(result, 'resultType', 'result_type')) {
    case 'failure':
      return [{ ...ended, outcome: 'failed', error: { type: 'tool_error', message } }];
    case 'denied':
      return [{ ...ended, outcome: 'denied', error: { type: 'permission_denied', message } }];
    default:
      return [{ ...ended, outcome: 'completed' }];
  }
}

function subagentEvents(payload: Payload, base: EventBase): AgentEvent[] {
  const id = textOf(payload, 'agentId', 'agent_id');
  const type = textOf(payload, 'agentName', 'agent_name', 'agent_type');
  if (id !== undefined) return [{ kind: 'subagent_ended', ...base, id, type }];
  return [noteOf(base, 'subagentStop', { text: type, data: otherFields(payload, common) })];
}
