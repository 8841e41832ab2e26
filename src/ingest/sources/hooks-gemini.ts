import { byOwnKey } from '../../core/values.js';
import type { AgentEvent, EventBase } from '../events.js';
import {
  noteOf,
  objectOf,
  otherFields,
  textOf,
  timeOf,
  type HookAdapter,
  type HookInput,
} from './hook-payload.js';

const common: ReadonlySet<string> = new Set([
  'session_id',
  'transcript_path',
  'cwd',
  'hook_event_name',
  'timestamp',
]);

/** Gemini CLI: https://geminicli.com/docs/hooks/reference. It gives neither turns nor tool calls an id. */
export const geminiHooks: HookAdapter = (input) => {
  const { payload, record } = input;
  const session = textOf(payload, 'session_id');
  const event = textOf(payload, 'hook_event_name') ?? record.event;
  if (session === undefined || event === undefined) return undefined;
  return eventsOf(event, input, {
    source: 'hook',
    agent: 'gemini',
    session,
    at: timeOf(record, byOwnKey(payload, 'timestamp')),
    place: { cwd: textOf(payload, 'cwd'), transcriptPath: textOf(payload, 'transcript_path') },
  });
};

function eventsOf(event: string, input: HookInput, base: EventBase): AgentEvent[] | undefined {
  const { payload, pairs } = input;
  switch (event) {
    case 'SessionStart':
      return [{ kind: 'session_started', ...base, reason: textOf(payload, 'source') }];
    case 'SessionEnd':
      return [{ kind: 'session_ended', ...base, reason: textOf(payload, 'reason') }];
    case 'BeforeAgent': {
      // Its words name the turn, as they do in the transcript.
      const text = textOf(payload, 'prompt');
      const turn = pairs.promptOf(base.session, text ?? '', base.at);
      return [{ kind: 'prompt', ...base, turn, text }];
    }
    case 'AfterAgent':
      return [{ kind: 'turn_ended', ...base }];
    case 'BeforeTool':
    case 'AfterTool':
      return toolEvents(event, input, base);
    case 'Notification':
    case 'PreCompress':
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
  const tool = textOf(payload, 'tool_name');
  if (tool === undefined) return undefined;
  const input = byOwnKey(payload, 'tool_input');
  if (event === 'BeforeTool') {
    const toolUse = pairs.startOf(base.session, tool, input, base.at);
    return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  }
  const toolUse = pairs.endOf(base.session, tool, input, base.at);
  const output = byOwnKey(payload, 'tool_response');
  const response = objectOf(payload, 'tool_response');
  const error = response && errorIn(byOwnKey(response, 'error'));
  const outcome = error === undefined ? 'completed' : 'failed';
  return [{ kind: 'tool_ended', ...base, toolUse, tool, input, output, outcome, error }];
}

function errorIn(value: unknown): { type: string; message: string } | undefined {
  if (value === undefined || value === null || value === '' || value === false) return undefined;
  if (typeof value === 'string') return { type: 'tool_error', message: value };
  const { message, type } = value as { message?: unknown; type?: unknown };
  return {
    type: typeof type === 'string' ? type : 'tool_error',
    message: typeof message === 'string' ? message : JSON.stringify(value),
  };
}
