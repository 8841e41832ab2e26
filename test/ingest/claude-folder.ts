import fs from 'node:fs';
import path from 'node:path';
import { ClaudeLines, text, toolUse, usage } from './claude-lines.js';

/** A folder of Claude Code's transcripts: contents by path below `projects/-home-dev-shop`. */
export type Transcripts = Map<string, string>;

export const sessions = {
  main: '0d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3a',
  other: '1e3a8d66-7a1f-4f1e-8b66-1a6a4e2d3c4b',
  fork: '2f4b9e77-8b2a-4a2f-9c77-2b7b5f3e4d5c',
  resumed: '3a5c0f88-9c3b-4b30-8d88-3c8c6a4f5e6d',
};

/** A session with two turns, its subagent, and the program's own call for a compaction. */
export function sessionWithSubagent(): Transcripts {
  const main = new ClaudeLines({ session: sessions.main });
  main.line('system', { subtype: 'local_command', content: 'started' });
  main.prompt('Fix the checkout', 'p1');
  main.assistant('m1', [text('Let me look.')], { usage: usage({ write1h: 5_000 }) });
  main.assistant('m1', [toolUse('t1', 'Read', { file_path: '/home/dev/shop/pay.ts' })], {
    usage: usage({ output: 90, write1h: 5_000 }),
    stop_reason: 'tool_use',
  });
  main.result('t1', 'export const pay = 1;', false, { type: 'text', file: { numLines: 1 } });
  main.assistant('m2', [
    toolUse('t2', 'Bash', { command: 'npm test' }),
    toolUse('t3', 'Task', { subagent_type: 'Explore', prompt: 'Find callers' }),
  ]);
  main.result('t2', 'Exit code 1\n2 failed', true);
  for (const id of ['n1', 'n2']) {
    // The session repeats what its subagent said.
    const copy = new ClaudeLines({ session: sessions.main });
    const message = copy.assistant(id, [toolUse(`s-${id}`, 'Grep')]);
    main.line('progress', {
      parentToolUseID: 't3',
      data: { type: 'agent_progress', agentId: 'a1', message },
    });
  }
  main.line('progress', { data: { type: 'hook_progress', hookEvent: 'PostToolUse' } });
  main.result('t3', 'Two callers', false, {
    status: 'completed',
    agentId: 'a1',
    totalDurationMs: 4_000,
    totalTokens: 900,
    totalToolUseCount: 2,
  });
  main.assistant('m3', [text('Fixed.')], {
    stop_reason: 'end_turn',
    usage: usage({ output: 40, write5m: 700 }),
  });
  main.turnDuration(12_000);
  main.prompt('Thanks, and the docs?', 'p2');
  main.user([{ type: 'image', source: { type: 'base64', data: 'iVBORw0' } }]);
  main.assistant('m4', [text('Done')], { model: 'claude-haiku-4-5', stop_reason: 'end_turn' });

  const agent = new ClaudeLines({
    session: sessions.main,
    startMs: 1_790_000_008_000,
    more: { isSidechain: true, agentId: 'a1' },
  });
  agent.user('Find callers', { promptId: 'p1' });
  agent.assistant('n1', [toolUse('s-n1', 'Grep', { pattern: 'pay' })], {
    model: 'claude-haiku-4-5',
  });
  agent.result('s-n1', 'cart.ts');
  agent.assistant('n2', [toolUse('s-n2', 'Grep')], { model: 'claude-haiku-4-5' });
  agent.result('s-n2', 'Exit code 2', true);
  // The message that started it stands in both files.
  agent.assistant('m2', [text('…')]);

  const compact = new ClaudeLines({ session: sessions.main, startMs: 1_790_000_010_000 });
  compact.user('Summarise', { isSidechain: true, promptId: 'p1' });
  compact.assistant('c1', [text('So far…')], { usage: usage({ output: 300, read: 20_000 }) });

  const folder = `${sessions.main}/subagents`;
  return new Map([
    [`${sessions.main}.jsonl`, main.toString()],
    [`${folder}/agent-a1.jsonl`, agent.toString()],
    [
      `${folder}/agent-a1.meta.json`,
      JSON.stringify({ agentType: 'Explore', toolUseId: 't3', description: 'Callers' }),
    ],
    [`${folder}/agent-acompact-9.jsonl`, compact.toString()],
  ]);
}

/** What the hooks of that session tell, each a moment after the line that says the same. */
export function hooksOfSession(): { at: number; payload: Record<string, unknown> }[] {
  const first = 1_790_000_000_000;
  const base = { session_id: sessions.main, cwd: '/home/dev/shop', permission_mode: 'default' };
  const hook = (second: number, event: string, turn: string | undefined, fields: object) => ({
    at: first + second * 1_000 + 7,
    payload: {
      ...base,
      ...(turn === undefined ? {} : { prompt_id: turn }),
      hook_event_name: event,
      ...fields,
    },
  });
  const agent = { agent_id: 'a1', agent_type: 'Explore' };
  const read = { tool_name: 'Read', tool_input: { file_path: '/home/dev/shop/pay.ts' } };
  const bash = { tool_name: 'Bash', tool_input: { command: 'npm test' } };
  const task = { tool_name: 'Task', tool_input: { subagent_type: 'Explore' } };
  const grep = { tool_name: 'Grep', tool_input: { pattern: 'pay' } };
  return [
    hook(0, 'SessionStart', undefined, { source: 'startup', model: 'claude-opus-4-6' }),
    hook(2, 'UserPromptSubmit', 'p1', { prompt: 'Fix the checkout' }),
    hook(4, 'PreToolUse', 'p1', { ...read, tool_use_id: 't1' }),
    hook(5, 'PostToolUse', 'p1', { ...read, tool_use_id: 't1', tool_response: {}, duration_ms: 8 }),
    hook(6, 'PreToolUse', 'p1', { ...bash, tool_use_id: 't2' }),
    hook(6, 'PermissionRequest', 'p1', bash),
    hook(6, 'PreToolUse', 'p1', { ...task, tool_use_id: 't3' }),
    hook(7, 'PostToolUseFailure', 'p1', {
      ...bash,
      tool_use_id: 't2',
      error: 'Exit code 1\n2 failed',
      duration_ms: 900,
    }),
    hook(7, 'Notification', undefined, { message: 'Claude needs your permission' }),
    hook(8, 'SubagentStart', 'p1', agent),
    hook(9, 'PreToolUse', 'p1', { ...grep, ...agent, tool_use_id: 's-n1' }),
    hook(10, 'PostToolUse', 'p1', { ...grep, ...agent, tool_use_id: 's-n1', tool_response: {} }),
    hook(11, 'SubagentStop', 'p1', agent),
    hook(11, 'PostToolUse', 'p1', { ...task, tool_use_id: 't3', tool_response: {} }),
    hook(13, 'Stop', 'p1', { stop_hook_active: false }),
    hook(14, 'UserPromptSubmit', 'p2', { prompt: 'Thanks, and the docs?' }),
    hook(17, 'Stop', 'p2', { stop_hook_active: false }),
    hook(60, 'SessionEnd', undefined, { reason: 'prompt_input_exit' }),
  ];
}

/** A session whose lines lack much, or are none. */
export function oddSession(): Transcripts {
  const odd = new ClaudeLines({ session: sessions.other, startMs: 1_790_100_000_000 });
  odd.user('Caveat: The messages below were generated by the user while running local commands.');
  odd.user('<command-name>/model</command-name>');
  odd.user('<local-command-stdout>Set model</local-command-stdout>');
  odd.user('<command-message>review</command-message>\n<command-name>/review</command-name>');
  odd.user([text('Review what has changed')], { isMeta: true });
  odd.assistant('o0', [toolUse('o-t', 'Read', { file_path: 'a.ts' })]);
  odd.result('o-t', 'ok');
  odd.user([text('What is here?')]);
  odd.line('assistant', { message: { role: 'assistant', content: [text('No id, no tokens')] } });
  odd.assistant('o1', [text('A model without a price')], { model: 'nobodys-model' });
  odd.assistant('o2', [text('API Error: 529')], { model: '<synthetic>' });
  odd.user('   ');
  odd.line('attachment', {
    attachment: { type: 'queued_command', commandMode: 'prompt', prompt: 'And there?' },
  });
  odd.user([text('[Request interrupted by user]')]);
  return new Map([
    [`${sessions.other}.jsonl`, `42\nno JSON\n${odd.toString()}{"type":"from-the-future"}\n`],
  ]);
}

/** Two sessions that have nothing in common but the ids of their prompts, messages, tools and subagents. */
export function sessionsOfSameIds(): Transcripts {
  const told = [sessions.main, sessions.other].map((session, index): [string, string] => {
    const lines = new ClaudeLines({ session, startMs: 1_790_000_000_000 + index * 5_000 });
    lines.prompt('Fix the checkout', 'p1');
    lines.assistant('msg_002', [toolUse('t1', 'Read')], { usage: usage({ output: 20 + index }) });
    lines.result('t1', index === 0 ? 'ok' : 'Exit code 1', index === 1);
    lines.assistant('msg_003', [toolUse('t2', 'Task', { subagent_type: 'Explore' })]);
    lines.result('t2', 'Two callers', false, { status: 'completed', agentId: 'a1' });
    return [`${session}.jsonl`, lines.toString()];
  });
  return new Map(told);
}

/** A fork of the first session, which names it, and a copy that an early version made to resume it. */
export function copiesOf(transcripts: Transcripts): Transcripts {
  const original = transcripts.get(`${sessions.main}.jsonl`) ?? '';
  const lines = original.trimEnd().split('\n');
  const copied = (session: string, more: (line: { uuid?: string }) => object) =>
    lines.map((line) => {
      const parsed = JSON.parse(line) as { uuid?: string };
      return JSON.stringify({ ...parsed, sessionId: session, ...more(parsed) });
    });
  const own = (session: string) => {
    const goesOn = new ClaudeLines({ session, startMs: 1_790_200_000_000 });
    goesOn.prompt('Go on from here', `${session}-p`);
    goesOn.assistant(`${session}-m`, [text('Going on')], { stop_reason: 'end_turn' });
    return goesOn.toString();
  };
  const forked = copied(sessions.fork, ({ uuid }) => ({
    forkedFrom: { sessionId: sessions.main, messageUuid: uuid },
  }));
  const resumed = copied(sessions.resumed, () => ({}));
  return new Map([
    [`${sessions.fork}.jsonl`, `${forked.join('\n')}\n${own(sessions.fork)}`],
    [`${sessions.resumed}.jsonl`, `${resumed.join('\n')}\n${own(sessions.resumed)}`],
  ]);
}

/** Writes transcripts into a folder, in their order. */
export function writeTranscripts(
  folder: string,
  transcripts: Transcripts,
  flag: 'w' | 'a' = 'w',
): void {
  for (const [name, content] of transcripts) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content, { flag });
  }
}
