import { byOwnKey, isObject } from '../../core/values.js';
import type { AgentEvent, EventBase } from '../events.js';
import { atMsOf } from '../spool/frame.js';
import { subagentEvents, toolEvents } from './hooks-claude.js';
import {
  noteOf,
  numberOf,
  otherFields,
  textOf,
  type HookAdapter,
  type HookInput,
  type Payload,
} from './hook-payload.js';

const common: ReadonlySet<string> = new Set([
  'session_id',
  'turn_id',
  'transcript_path',
  'cwd',
  'model',
  'permission_mode',
  'hook_event_name',
  'agent_id',
  'agent_type',
]);

/** Codex CLI: https://developers.openai.com/codex/hooks. Its shapes are Claude's, with a turn id. */
export const codexHooks: HookAdapter = (input) => {
  const { payload, record } = input;
  const session = textOf(payload, 'session_id');
  const event = textOf(payload, 'hook_event_name') ?? record.event;
  if (session === undefined || event === undefined) return undefined;
  const subagent = textOf(payload, 'agent_id');
  const base: EventBase = {
    source: 'hook',
    agent: 'codex',
    session,
    // A subagent has turns of its own: they are none of the session's.
    turn: subagent === undefined ? textOf(payload, 'turn_id') : undefined,
    subagent,
    at: atMsOf(record),
    place: {
      cwd: textOf(payload, 'cwd'),
      model: subagent === undefined ? textOf(payload, 'model') : undefined,
      permissionMode: textOf(payload, 'permission_mode'),
      transcriptPath: subagent === undefined ? textOf(payload, 'transcript_path') : undefined,
    },
  };
  return eventsOf(event, input, base);
};

function eventsOf(event: string, input: HookInput, base: EventBase): AgentEvent[] | undefined {
  const { payload } = input;
  switch (event) {
    case 'SessionStart':
      return [{ kind: 'session_started', ...base, reason: textOf(payload, 'source') }];
    case 'SessionEnd':
      return [{ kind: 'session_ended', ...base, reason: textOf(payload, 'reason') }];
    case 'UserPromptSubmit':
      return [{ kind: 'prompt', ...base, text: textOf(payload, 'prompt') }];
    case 'PreToolUse':
    case 'PostToolUse':
      return withExitCode(toolEvents(event, withToolUse(event, input, base), base));
    case 'PermissionRequest': {
      const tool = textOf(payload, 'tool_name');
      const asked = byOwnKey(payload, 'tool_input');
      return [{ kind: 'permission', ...base, decision: 'ask', tool, input: asked }];
    }
    case 'SubagentStart':
    case 'SubagentStop':
      return subagentEvents(event, payload, base);
    case 'Stop':
      return [{ kind: 'turn_ended', ...base }];
    case 'Interrupt':
      return [{ kind: 'interrupted', ...base }];
    case 'PreCompact':
    case 'PostCompact':
      return [
        noteOf(base, event, {
          text: textOf(payload, 'trigger'),
          data: otherFields(payload, common),
        }),
      ];
    default:
      return undefined;
  }
}

/** Older versions send no id of the tool use. */
function withToolUse(event: string, { payload, pairs }: HookInput, base: EventBase): Payload {
  const tool = textOf(payload, 'tool_name');
  if (tool === undefined || textOf(payload, 'tool_use_id') !== undefined) return payload;
  const words = [base.session, tool, byOwnKey(payload, 'tool_input'), base.at] as const;
  const id = event === 'PreToolUse' ? pairs.startOf(...words) : pairs.endOf(...words);
  return { ...payload, tool_use_id: id };
}

/** A command that failed is told of as any other, with its exit code. */
function withExitCode(events: AgentEvent[] | undefined): AgentEvent[] | undefined {
  return events?.map((event) => {
    if (event.kind !== 'tool_ended' || !isObject(event.output)) return event;
    const { output } = event;
    const metadata = byOwnKey(output, 'metadata');
    const exitCode =
      numberOf(output, 'exit_code') ??
      (isObject(metadata) ? numberOf(metadata, 'exit_code') : undefined);
    if (exitCode === undefined) return event;
    if (exitCode === 0) return { ...event, exitCode };
    const error = { type: 'tool_error', message: `Exit code ${exitCode}` };
    return { ...event, exitCode, outcome: 'failed' as const, error };
  });
}
