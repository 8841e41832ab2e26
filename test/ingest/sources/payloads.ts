import type { AgentId } from '../../../src/ingest/install/agent.js';

/** One call of a hook: the event as its argument where the CLI's payload does not name it. */
export type HookCall = { event?: string; payload: Record<string, unknown> };

/** One session of each CLI, with every event that is registered for it, in the shapes that they send. */
export function hookSession(cli: AgentId, session: string, startMs = Date.now()): HookCall[] {
  return sessions[cli](session, startMs);
}

function claude(session: string): HookCall[] {
  const base = {
    session_id: session,
    transcript_path: `/home/u/.claude/projects/-home-u-app/${session}.jsonl`,
    cwd: '/home/u/app',
    permission_mode: 'default',
  };
  const turn = { ...base, prompt_id: `${session}-p1`, effort: { level: 'high' } };
  const inAgent = { ...turn, agent_id: 'agent1', agent_type: 'Explore' };
  const call = (name: string, fields: Record<string, unknown>, from: object = turn) => ({
    payload: { ...from, hook_event_name: name, ...fields },
  });
  const bash = { tool_name: 'Bash', tool_input: { command: 'npm test' } };
  return [
    call('Setup', { trigger: 'init' }, base),
    call('SessionStart', { source: 'startup', model: 'claude-opus-5' }, base),
    call('InstructionsLoaded', { file_path: '/home/u/app/CLAUDE.md' }, base),
    call('UserPromptExpansion', {
      expansion_type: 'slash_command',
      command_name: 'fix',
      command_args: '',
      prompt: 'Fix it',
    }),
    call('UserPromptSubmit', { prompt: 'Make the tests pass', source: 'user' }),
    call('PreToolUse', { ...bash, tool_use_id: 'toolu_1' }),
    call('PermissionRequest', { ...bash, permission_suggestions: [] }),
    call('PostToolUseFailure', {
      ...bash,
      tool_use_id: 'toolu_1',
      error: 'Exit code 1\n2 failed',
      duration_ms: 1200,
    }),
    call('PreToolUse', {
      tool_name: 'Read',
      tool_input: { file_path: '/home/u/app/a.ts' },
      tool_use_id: 'toolu_2',
    }),
    call('PostToolUse', {
      tool_name: 'Read',
      tool_input: { file_path: '/home/u/app/a.ts' },
      tool_use_id: 'toolu_2',
      tool_response: { type: 'text' },
      duration_ms: 8,
    }),
    call('PostToolBatch', { tool_calls: [{ tool_use_id: 'toolu_1' }, { tool_use_id: 'toolu_2' }] }),
    call('PreToolUse', { ...bash, tool_use_id: 'toolu_3' }),
    call('PermissionDenied', { ...bash, tool_use_id: 'toolu_3', reason: 'not in this folder' }),
    call('PreToolUse', {
      tool_name: 'Agent',
      tool_input: { subagent_type: 'Explore', prompt: 'Find it' },
      tool_use_id: 'toolu_4',
    }),
    call('SubagentStart', {}, inAgent),
    call(
      'PreToolUse',
      { tool_name: 'Grep', tool_input: { pattern: 'x' }, tool_use_id: 'toolu_5' },
      inAgent,
    ),
    call(
      'PostToolUse',
      {
        tool_name: 'Grep',
        tool_input: { pattern: 'x' },
        tool_use_id: 'toolu_5',
        tool_response: {},
        duration_ms: 30,
      },
      inAgent,
    ),
    call('SubagentStop', { agent_transcript_path: '/x.jsonl', stop_hook_active: false }, inAgent),
    call('PostToolUse', {
      tool_name: 'Agent',
      tool_input: {},
      tool_use_id: 'toolu_4',
      tool_response: {},
      duration_ms: 900,
    }),
    call('PreToolUse', { ...bash, tool_use_id: 'toolu_6' }),
    call('PostToolUseFailure', {
      ...bash,
      tool_use_id: 'toolu_6',
      error: 'interrupted',
      is_interrupt: true,
    }),
    call('Notification', {
      message: 'Claude needs your permission',
      notification_type: 'permission_prompt',
    }),
    call('PreCompact', { trigger: 'auto', custom_instructions: '' }),
    call('PostCompact', { trigger: 'auto', compact_summary: 'So far' }),
    call('PreModelSwitch', { from: 'a', to: 'b' }),
    call('PostModelSwitch', { from: 'a', to: 'b' }),
    call('ConfigChange', { source: 'user_settings' }),
    call('CwdChanged', { new_cwd: '/home/u' }),
    call('DirectoryAdded', { directory: '/tmp' }),
    call('FileChanged', { file_path: '/home/u/app/.env' }),
    call('TaskCreated', { task_id: '1', task_subject: 'Look' }),
    call('TaskCompleted', { task_id: '1', task_subject: 'Look' }),
    call('TeammateIdle', { teammate_name: 'b' }),
    call('Elicitation', { mcp_server_name: 'm', message: 'Which?' }),
    call('ElicitationResult', { mcp_server_name: 'm', action: 'accept' }),
    call('WorktreeRemove', { worktree_path: '/tmp/w' }),
    call('PreSkillShellCommand', { command: 'ls' }),
    call('Stop', {
      stop_hook_active: false,
      last_assistant_message: 'Done',
      background_tasks: [{ id: 'b1' }],
    }),
    call('Stop', { stop_hook_active: false, last_assistant_message: 'Done' }),
    call('UserPromptSubmit', { prompt: 'And now?' }, { ...base, prompt_id: `${session}-p2` }),
    call(
      'StopFailure',
      { error: 'rate_limit', error_details: 'try later' },
      { ...base, prompt_id: `${session}-p2` },
    ),
    call('SessionEnd', { reason: 'prompt_input_exit' }, base),
  ];
}

function codex(session: string): HookCall[] {
  const base = {
    session_id: session,
    transcript_path: null,
    cwd: '/home/u/app',
    model: 'gpt-5.5',
    permission_mode: 'default',
  };
  const call = (name: string, fields: Record<string, unknown>, turn = 'turn1') => ({
    payload: { ...base, turn_id: turn, hook_event_name: name, ...fields },
  });
  const bash = { tool_name: 'Bash', tool_input: { command: 'ls' } };
  const agent = { agent_id: 'agent1', agent_type: 'worker' };
  return [
    { payload: { ...base, hook_event_name: 'SessionStart', source: 'startup' } },
    call('UserPromptSubmit', { prompt: 'List the files' }),
    call('PreToolUse', { ...bash, tool_use_id: 'call_1' }),
    call('PermissionRequest', bash),
    call('PostToolUse', {
      ...bash,
      tool_use_id: 'call_1',
      tool_response: { output: 'a.ts', exit_code: 0 },
    }),
    call('PreToolUse', bash),
    call('PostToolUse', { ...bash, tool_response: { output: 'no', metadata: { exit_code: 2 } } }),
    call('SubagentStart', agent),
    call('SubagentStop', agent),
    call('PreCompact', { trigger: 'manual' }),
    call('PostCompact', { trigger: 'manual' }),
    call('Stop', { stop_hook_active: false, last_assistant_message: 'Done' }),
    call('UserPromptSubmit', { prompt: 'More' }, 'turn2'),
    call('Interrupt', {}, 'turn2'),
    { payload: { ...base, hook_event_name: 'SessionEnd', reason: 'exit' } },
  ];
}

function gemini(session: string, startMs: number): HookCall[] {
  const base = {
    session_id: session,
    transcript_path: '/home/u/.gemini/tmp/app/chats/session-1.jsonl',
    cwd: '/home/u/app',
  };
  const call = (name: string, fields: Record<string, unknown>, index: number) => ({
    payload: {
      ...base,
      hook_event_name: name,
      timestamp: new Date(startMs + index * 100).toISOString(),
      ...fields,
    },
  });
  const shell = { tool_name: 'run_shell_command', tool_input: { command: 'ls' } };
  const calls: [string, Record<string, unknown>][] = [
    ['SessionStart', { source: 'startup' }],
    ['BeforeAgent', { prompt: 'List the files' }],
    ['BeforeTool', shell],
    ['AfterTool', { ...shell, tool_response: { llmContent: 'a.ts', returnDisplay: 'a.ts' } }],
    ['BeforeTool', shell],
    [
      'AfterTool',
      {
        ...shell,
        tool_response: {
          llmContent: '',
          error: { message: 'no such file', type: 'shell_execute_error' },
        },
      },
    ],
    ['Notification', { notification_type: 'ToolPermission', message: 'Allow?', details: {} }],
    ['PreCompress', { trigger: 'auto' }],
    ['AfterAgent', { prompt: 'List the files', prompt_response: 'Done', stop_hook_active: false }],
    ['SessionEnd', { reason: 'exit' }],
  ];
  return calls.map(([name, fields], index) => call(name, fields, index));
}

function cursor(session: string): HookCall[] {
  const base = {
    conversation_id: session,
    generation_id: `${session}-g1`,
    model: 'claude-opus-5',
    workspace_roots: ['/home/u/app'],
    cursor_version: '2.4.0',
    user_email: 'somebody@example.com',
  };
  const call = (name: string, fields: Record<string, unknown>) => ({
    event: name,
    payload: { ...base, hook_event_name: name, ...fields },
  });
  const shell = { tool_name: 'Shell', tool_input: { command: 'ls' } };
  return [
    call('sessionStart', { composer_mode: 'agent' }),
    call('beforeSubmitPrompt', { prompt: 'List the files', attachments: [] }),
    call('preToolUse', { ...shell, tool_use_id: 'c1' }),
    call('postToolUse', {
      ...shell,
      tool_use_id: 'c1',
      tool_output: '{"output":"a.ts"}',
      duration: 12,
    }),
    call('preToolUse', { ...shell, tool_use_id: 'c2' }),
    call('postToolUseFailure', {
      ...shell,
      tool_use_id: 'c2',
      error_message: 'Exit code 3',
      failure_type: 'error',
      duration: 5,
    }),
    call('afterAgentThought', { text: 'Hm', duration_ms: 40 }),
    call('afterAgentResponse', { text: 'Done' }),
    call('subagentStart', { subagent_id: 's1', subagent_type: 'explore', task: 'Look' }),
    call('subagentStop', {
      subagent_id: 's1',
      subagent_type: 'explore',
      status: 'completed',
      duration_ms: 100,
    }),
    call('preCompact', { trigger: 'auto' }),
    call('stop', { status: 'completed', loop_count: 0 }),
    call('sessionEnd', { reason: 'user_close', duration_ms: 9_000 }),
  ];
}

function copilot(session: string, startMs: number): HookCall[] {
  const call = (name: string, fields: Record<string, unknown>, index: number) => ({
    event: name,
    payload: {
      sessionId: session,
      timestamp: startMs + index * 100,
      cwd: '/home/u/app',
      ...fields,
    },
  });
  const shell = { toolName: 'bash', toolArgs: '{"command":"ls"}' };
  const calls: [string, Record<string, unknown>][] = [
    ['sessionStart', { source: 'new', initialPrompt: 'List the files' }],
    ['userPromptSubmitted', { prompt: 'List the files' }],
    ['preToolUse', shell],
    ['postToolUse', { ...shell, toolResult: { resultType: 'success', textResultForLlm: 'a.ts' } }],
    ['preToolUse', shell],
    ['postToolUse', { ...shell, toolResult: { resultType: 'failure', textResultForLlm: 'no' } }],
    ['notification', { message: 'Allow?' }],
    ['preCompact', { trigger: 'auto' }],
    ['errorOccurred', { error: { name: 'RateLimit', message: 'slow down', stack: '' } }],
    ['subagentStop', { agentName: 'explore' }],
    ['agentStop', { stopReason: 'end_turn' }],
    ['sessionEnd', { reason: 'complete' }],
  ];
  return calls.map(([name, fields], index) => call(name, fields, index));
}

function opencode(session: string, startMs: number): HookCall[] {
  const call = (event: string, payload: Record<string, unknown>) => ({
    event,
    payload: { cwd: '/home/u/app', ...payload },
  });
  const bash = { tool: 'bash', sessionID: session, args: { command: 'ls' } };
  const answer = {
    id: 'msg_2',
    sessionID: session,
    role: 'assistant',
    parentID: 'msg_1',
    modelID: 'claude-opus-5',
    providerID: 'anthropic',
    cost: 0.01,
    tokens: { input: 10, output: 20, reasoning: 5, cache: { read: 100, write: 50 } },
  };
  return [
    call('session.created', {
      properties: { info: { id: session, title: 'New', version: '1.18.0' } },
    }),
    call('chat.message', {
      sessionID: session,
      message: { id: 'msg_1', role: 'user' },
      parts: [{ type: 'text', text: 'List the files' }],
    }),
    call('message.updated', { properties: { info: { ...answer, time: { created: startMs } } } }),
    call('tool.execute.before', { ...bash, callID: 'c1' }),
    call('tool.execute.after', {
      ...bash,
      callID: 'c1',
      title: 'ls',
      output: 'a.ts',
      metadata: { exit: 0 },
    }),
    call('permission.asked', {
      properties: { sessionID: session, permission: 'bash', tool: { callID: 'c2' } },
    }),
    call('permission.updated', {
      properties: { sessionID: session, type: 'bash', callID: 'c2', title: 'rm' },
    }),
    call('permission.replied', {
      properties: { sessionID: session, permissionID: 'p1', response: 'reject' },
    }),
    call('message.updated', {
      properties: {
        info: { ...answer, finish: 'stop', time: { created: startMs, completed: startMs + 900 } },
      },
    }),
    call('session.compacted', { properties: { sessionID: session } }),
    call('session.idle', { properties: { sessionID: session } }),
    call('session.error', {
      properties: {
        sessionID: session,
        error: { name: 'MessageAbortedError', data: { message: 'aborted' } },
      },
    }),
    call('session.deleted', { properties: { info: { id: session } } }),
  ];
}

const sessions: Record<AgentId, (session: string, startMs: number) => HookCall[]> = {
  claude,
  codex,
  gemini,
  cursor,
  copilot,
  opencode,
};
