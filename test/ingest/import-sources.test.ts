import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { resolveSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { TranscriptFollower } from '../../src/ingest/collector/follow-transcripts.js';
import { findFiles } from '../../src/ingest/discover.js';
import { importSessions, type ImportResult } from '../../src/ingest/import.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { eventsOfRecord } from '../../src/ingest/collector/write-records.js';
import { ToolPairs } from '../../src/ingest/sources/hook-payload.js';
import type { SpoolRecord } from '../../src/ingest/spool/frame.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { chat } from './sources/chats.js';
import { Rollout, session, startMs } from './sources/rollouts.js';

let home: string;
let test: TestDatabase;
let database: Database;
let recorder: Recorder;
beforeEach(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-home-'));
  test = await createTestDatabase();
  const source = resolveSource({ url: test.url });
  if (source.kind !== 'server') throw new Error('no server');
  database = await Database.open(source);
  recorder = new Recorder(database);
});
afterEach(async () => {
  await database.close();
  fs.rmSync(home, { recursive: true, force: true });
});

function write(file: string, text: string): string {
  const at = path.join(home, file);
  fs.mkdirSync(path.dirname(at), { recursive: true });
  fs.writeFileSync(at, text);
  return at;
}

const textOf = (lines: readonly unknown[]) =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');

async function importAll(): Promise<ImportResult> {
  const run = importSessions(await findFiles({ environment: {}, home }), { database, recorder });
  for (;;) {
    const step = await run.next();
    if (step.done) return step.value;
  }
}

const chatFile = '.gemini/tmp/shop/chats/session-2026-09-21T00-00-s1.jsonl';
const rolloutFile = (rollout: Rollout, folder = 'sessions/2026/09/21') =>
  `.codex/${folder}/rollout-2026-09-21T14-13-20-${rollout.id}.jsonl`;

async function rows() {
  const { rows: found } = await test.query<{ of: string; id: string; row: string }>(
    `SELECT 'trace' AS of, id::text, concat_ws('|', source, status, prompt_text, input_tokens, output_tokens,
       cache_read_tokens, parent_id, root_id, started_at) AS row FROM execution_traces
     UNION ALL SELECT hook_type, id::text, concat_ws('|', trace_id, tool_name, status, exit_code, agent_id)
       FROM hook_executions
     UNION ALL SELECT 'call', id::text, concat_ws('|', trace_id, context->>'usage') FROM endpoint_calls
     ORDER BY 1, 2`,
  );
  return found;
}

const spawn = (parent: string) => ({
  source: {
    subagent: { thread_spawn: { parent_thread_id: parent, depth: 1, agent_role: 'worker' } },
  },
});

it('imports sessions of Codex and Gemini once, wherever their files are and however often it runs', async () => {
  const origin = session();
  const agent = origin.fork(spawn(origin.id)).turn('Look it up').answer();
  const at = write(rolloutFile(origin), origin.text);
  write(rolloutFile(agent), agent.text);
  write(chatFile, textOf(chat('s1')));
  const first = await importAll();
  expect(first).toMatchObject({
    files: 3,
    sessions: 2,
    prompts: 4,
    modelCalls: 8,
    toolCalls: 7,
    failedToolCalls: 3,
    subagents: 1,
    tokens: { input: 3_200, output: 5 * 50 + 3 * 70, cacheRead: 4_800, cacheCreation: 0 },
    skippedLines: 0,
  });
  const before = await rows();
  expect(before.filter(({ of }) => of === 'trace')).toHaveLength(5);
  expect(before.filter(({ row }) => row.includes('in_progress'))).toEqual([]);
  expect((await importAll()).written.rows).toEqual({
    execution_traces: 0,
    agent_routing_decisions: 0,
    hook_executions: 0,
    endpoint_calls: 0,
  });
  fs.mkdirSync(path.join(home, '.codex/archived_sessions'));
  fs.renameSync(at, path.join(home, rolloutFile(origin, 'archived_sessions')));
  expect(await importAll()).toMatchObject({ prompts: 2 });
  expect(await rows()).toEqual(before);
});

it('reads a chat that is one object again when it has changed', async () => {
  const [head, ...messages] = chat('s1');
  const at = '.gemini/tmp/shop/chats/session-1.json';
  const whole = (count: number) =>
    JSON.stringify({ ...head, messages: messages.slice(0, count) }, null, 2);
  write(at, whole(3));
  expect(await importAll()).toMatchObject({ prompts: 1 });
  write(at, whole(messages.length));
  expect(await importAll()).toMatchObject({ prompts: 2, modelCalls: 3 });
  expect(await importAll()).toMatchObject({ prompts: 0 });
  const { rows: traces } = await test.query('SELECT id FROM execution_traces');
  expect(traces).toHaveLength(2);
});

/** The hooks of the sessions above, as they come while these run. */
function hookRecords(rollout: Rollout, paths: { codex: string; gemini: string }): SpoolRecord[] {
  const turn = (rollout.lines[1]?.payload as { turn_id: string }).turn_id;
  const call = rollout.lines.find(
    ({ payload }) => (payload as { type: string }).type === 'function_call',
  )?.payload as { call_id: string };
  const base = { session_id: rollout.id, turn_id: turn, transcript_path: paths.codex };
  const tool = {
    tool_name: 'Bash',
    tool_input: { command: 'npm test' },
    tool_use_id: call.call_id,
  };
  const google = { session_id: 's1', transcript_path: paths.gemini };
  const list = { tool_name: 'list_directory', tool_input: { path: '.' } };
  const sent: [cli: string, event: string, fields: Record<string, unknown>][] = [
    ['codex', 'UserPromptSubmit', { ...base, prompt: 'Make the tests pass' }],
    ['codex', 'PreToolUse', { ...base, ...tool }],
    ['codex', 'PostToolUse', { ...base, ...tool, tool_response: { exit_code: 1 } }],
    ['codex', 'Stop', base],
    ['gemini', 'BeforeAgent', { ...google, prompt: 'List the files of the shop' }],
    ['gemini', 'BeforeTool', { ...google, ...list }],
    ['gemini', 'AfterTool', { ...google, ...list, tool_response: {} }],
    ['gemini', 'AfterAgent', google],
  ];
  return sent.map(([cli, event, fields], index) => ({
    id: `r${index}`,
    at: `${startMs + index * 300}000000`,
    cli,
    payload: { ...fields, hook_event_name: event, cwd: '/home/u/shop' },
    bytes: 0,
  }));
}

it.each(['hooks first', 'transcripts first'])(
  'gives a session that hooks tell of as well the rows of its transcript: %s',
  async (order) => {
    const rollout = session();
    const paths = {
      codex: write(rolloutFile(rollout), rollout.text),
      gemini: write(chatFile, textOf(chat('s1'))),
    };
    const pairs = new ToolPairs();
    const records = hookRecords(rollout, paths);
    const events = records.flatMap((record) => eventsOfRecord(record, pairs) ?? []);
    if (order === 'hooks first') {
      await recorder.record(events);
      // The collector follows the files that hooks name.
      const follower = new TranscriptFollower(database, recorder);
      expect(await follower.round(records)).toBe(true);
    } else {
      await importAll();
      await recorder.record(events);
    }
    const { rows: traces } = await test.query<{
      prompt_text: string;
      calls: number;
      tools: number;
    }>(
      `SELECT prompt_text,
         (SELECT count(*)::int FROM endpoint_calls c WHERE c.trace_id = t.id) AS calls,
         (SELECT count(*)::int FROM hook_executions h WHERE h.trace_id = t.id AND hook_type = 'ToolUse') AS tools
       FROM execution_traces t ORDER BY project, started_at, prompt_text`,
    );
    expect(traces.toSorted((a, b) => (a.prompt_text < b.prompt_text ? -1 : 1))).toEqual([
      { prompt_text: 'And again', calls: 1, tools: 2 },
      { prompt_text: 'And now?', calls: 1, tools: 0 },
      { prompt_text: 'List the files\nof the shop', calls: 2, tools: 2 },
      { prompt_text: 'Make the tests pass', calls: 3, tools: 3 },
    ]);
  },
);
