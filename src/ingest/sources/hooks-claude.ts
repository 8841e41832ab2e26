import { byOwnKey } from '../../core/values.js';
import type { AgentEvent, EventBase, Place } from '../events.js';
import { atMsOf } from '../spool/frame.js';
import {
  failureOf,
  noteOf,
  numberOf,
  objectOf,
  otherFields,
  spanOf,
  textOf,
  type HookAdapter,
  type HookInput,
  type Payload,
} from './hook-payload.js';

/** What stands in every event. */
const common: ReadonlySet<string> = new Set([
  'session_id',
  'transcript_path',
  'cwd',
  'hook_event_name',
  'prompt_id',
  'permission_mode',
  'effort',
  'agent_id',
  'agent_type',
]);

/** Events that are told of, and end or begin nothing. */
const notes: ReadonlySet<string> = new Set([
  'Setup',
  'UserPromptExpansion',
  'PreCompact',
  'PostCompact',
  'InstructionsLoaded',
  'PreModelSwitch',
  'PostModelSwitch',
  'ConfigChange',
  'CwdChanged',
  'DirectoryAdded',
  'FileChanged',
  'TaskCreated',
  'TaskCompleted',
  'TeammateIdle',
  'Elicitation',
  'ElicitationResult',
  'WorktreeRemove',
  'PreSkillShellCommand',
]);

/** Claude Code: https://code.claude.com/docs/en/hooks, and what its versions 2.1.33x send. */
export const claudeHooks: HookAdapter = (input) => {
  const { payload, record } = input;
  const session = textOf(payload, 'session_id');
  const event = textOf(payload, 'hook_event_name') ?? record.event;
  if (session === undefined || event === undefined) return undefined;
  return eventsOf(event, payload, baseOf(input, session));
};

function baseOf({ payload, record }: HookInput, session: string): EventBase {
  const place: Place = {
    cwd: textOf(payload, 'cwd'),
    permissionMode: textOf(payload, 'permission_mode'),
    transcriptPath: textOf(payload, 'transcript_path'),
    entrypoint: record.env?.CLAUDE_CODE_ENTRYPOINT,
    model: textOf(payload, 'model'),
  };
  return {
    source: 'hook',
    agent: 'claude-code',
    session,
    turn: textOf(payload, 'prompt_id'),
    subagent: textOf(payload, 'agent_id'),
    at: atMsOf(record),
    place,
  };
}

function eventsOf(event: string, payload: Payload, base: EventBase): AgentEvent[] | undefined {
  switch (event) {
    case 'SessionStart':
      return [{ kind: 'session_started', ...base, reason: textOf(payload, 'source') }];
    case 'SessionEnd':
      return [{ kind: 'session_ended', ...base, reason: textOf(payload, 'reason') }];
    case 'UserPromptSubmit': {
      const text = textOf(payload, 'prompt');
      return [{ kind: 'prompt', ...base, text, origin: textOf(payload, 'source') }];
    }
    case 'PreToolUse':
    case 'PostToolUse':
    case 'PostToolUseFailure':
      return toolEvents(event, payload, base);
    case 'PostToolBatch':
      // These calls were already reported by PostToolUse.
      return [];
    case 'PermissionRequest':
    case 'PermissionDenied':
      return permissionEvents(event, payload, base);
    case 'SubagentStart':
    case 'SubagentStop':
      return subagentEvents(event, payload, base);
    case 'Stop':
    case 'StopFailure':
      return stopEvents(event, payload, base);
    case 'Notification': {
      const { title, notification_type: type } = payload;
      const data = title === undefined && type === undefined ? undefined : { title, type };
      return [noteOf(base, event, { text: textOf(payload, 'message'), data })];
    }
    default:
      if (!notes.has(event)) return undefined;
      return [
        noteOf(base, event, {
          text: textOf(payload, 'compact_summary', 'prompt', 'message', 'trigger'),
          data: otherFields(payload, common),
        }),
      ];
  }
}

/** Also of Codex, which took over the shape. */
export function toolEvents(
  event: 'PreToolUse' | 'PostToolUse' | 'PostToolUseFailure',
  payload: Payload,
  base: EventBase,
): AgentEvent[] | undefined {
  const toolUse = textOf(payload, 'tool_use_id');
  const tool = textOf(payload, 'tool_name');
  if (toolUse === undefined || tool === undefined) return undefined;
  const input = byOwnKey(payload, 'tool_input');
  if (event === 'PreToolUse') return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  const ended = {
    kind: 'tool_ended' as const,
    ...base,
    toolUse,
    tool,
    input,
    ...spanOf(base.at, numberOf(payload, 'duration_ms')),
  };
  if (event === 'PostToolUseFailure') {
    const outcome = byOwnKey(payload, 'is_interrupt') === true ? 'cancelled' : 'failed';
    return [{ ...ended, outcome, ...failureOf('tool_error', textOf(payload, 'error')) }];
  }
  const response = objectOf(payload, 'tool_response');
  const output = byOwnKey(payload, 'tool_response');
  const isCancelled = response !== undefined && byOwnKey(response, 'interrupted') === true;
  return [{ ...ended, output, outcome: isCancelled ? 'cancelled' : 'completed' }];
}

function permissionEvents(event: string, payload: Payload, base: EventBase): AgentEvent[] {
  const tool = textOf(payload, 'tool_name');
  const input = byOwnKey(payload, 'tool_input');
  if (event === 'PermissionRequest') {
    return [{ kind: 'permission', ...base, decision: 'ask', tool, input }];
  }
  const toolUse = textOf(payload, 'tool_use_id');
  const reason = textOf(payload, 'reason');
  return [
    { kind: 'permission', ...base, decision: 'deny', toolUse, tool, input, by: 'auto', reason },
    ...(toolUse === undefined
      ? []
      : [
          {
            kind: 'tool_ended' as const,
            ...base,
            toolUse,
            tool,
            input,
            outcome: 'denied' as const,
            error: { type: 'permission_denied', message: reason },
          },
        ]),
  ];
}

/** The event's own subagent is the one it is about, not one that it happened in. */
export function subagentEvents(
  event: 'SubagentStart' | 'SubagentStop',
  payload: Payload,
  base: EventBase,
): AgentEvent[] | undefined {
  const { subagent: id, ...outer } = base;
  if (id === undefined) return undefined;
  const type = textOf(payload, 'agent_type');
  const kind = event === 'SubagentStart' ? 'subagent_started' : 'subagent_ended';
  return [{ ...outer, kind, id, type }];
}

function stopEvents(event: string, payload: Payload, base: EventBase): AgentEvent[] {
  if (event === 'StopFailure') {
    const type = textOf(payload, 'error') ?? 'unknown';
    const message = textOf(payload, 'error_details');
    return [{ kind: 'turn_ended', ...base, error: { type, message } }];
  }
  const tasks = byOwnKey(payload, 'background_tasks');
  if (Array.isArray(tasks) && tasks.length > 0) {
    // No end of the turn: the agent goes on when the background work is done, and stops again.
    return [noteOf(base, event, { data: { background_tasks: tasks.length } })];
  }
  return [{ kind: 'turn_ended', ...base }];
}
