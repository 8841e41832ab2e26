import { type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { agentIds, type AgentId } from '../../../src/ingest/install/agent.js';
import { appendFrame } from '../../../src/ingest/spool/append.js';
import { frameOf } from '../../../src/ingest/hook/record.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { runHook } from '../../helpers/hook.js';
import {
  hooksOfSession,
  sessions,
  sessionWithSubagent,
  writeTranscripts,
} from '../claude-folder.js';
import { dumpOf } from '../ingest-database.js';
import { hookSession, type HookCall } from '../sources/payloads.js';

let folder: string;
let spool: string;
let test: TestDatabase;
let env: Record<string, string>;
beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-collect-'));
  spool = path.join(folder, 'spool');
  test = await createTestDatabase();
  env = {
    HOME: folder,
    XDG_STATE_HOME: folder,
    TRACE_CONSOLE_SPOOL: spool,
    DATABASE_URL: test.url,
  };
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** What a hook would have written. */
function tell(cli: string, { event, payload }: HookCall, atMs: number): void {
  const input = JSON.stringify(payload);
  appendFrame(spool, frameOf({ cli, event, input, atMs }, {}));
}

/** What the rows say, without what depends on when they were written. */
async function rows(): Promise<{
  traces: string[];
  tools: string[];
  others: string[];
  calls: string[];
}> {
  const lines = async (sql: string) =>
    (await test.query<{ line: string }>(sql)).rows.map(({ line }) => line).sort();
  return {
    traces: await lines(
      `SELECT concat_ws(' ', source, status, error_type, quote_nullable(prompt_text), project) AS line
       FROM execution_traces`,
    ),
    tools: await lines(
      `SELECT concat_ws(' ', tool_name, status, exit_code, decision, agent_id) AS line
       FROM hook_executions WHERE hook_type = 'ToolUse'`,
    ),
    others: await lines(
      `SELECT concat_ws(' ', hook_type, decision) AS line
       FROM hook_executions WHERE hook_type <> 'ToolUse'`,
    ),
    calls: await lines(
      `SELECT concat_ws(' ', service_name, context->>'model', context->>'usage') AS line
       FROM endpoint_calls`,
    ),
  };
}

/** As if nothing had been collected yet. */
async function begin(): Promise<void> {
  await test.query('TRUNCATE execution_traces CASCADE; DROP SCHEMA trace_console CASCADE');
  fs.rmSync(spool, { recursive: true, force: true });
}

async function collectSession(calls: readonly { cli: AgentId; call: HookCall; atMs: number }[]) {
  for (const { cli, call, atMs } of calls) tell(cli, call, atMs);
  const { exitCode, stdout, stderr } = await runCli(['collect', '--once', '--json'], { env });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout) as { records: number; quarantined: number };
}

const startMs = Date.now() - 600_000;

/** Each turn and tool call of the sessions, closed for its own reason. */
const expected: Record<AgentId, { traces: string[]; tools: string[] }> = {
  claude: {
    traces: [
      'agent_delegation completed NULL app',
      "user_prompt completed 'Make the tests pass' app",
      "user_prompt failed rate_limit 'And now?' app",
    ],
    tools: [
      'Agent completed',
      'Bash cancelled',
      'Bash failed 1',
      'Bash failed deny',
      'Grep completed agent1',
      'Read completed',
    ],
  },
  codex: {
    traces: [
      'agent_delegation completed NULL app',
      "user_prompt cancelled interrupted 'More' app",
      "user_prompt completed 'List the files' app",
    ],
    tools: ['Bash completed 0', 'Bash failed 2'],
  },
  gemini: {
    traces: ["user_prompt completed 'List the files' app"],
    tools: ['run_shell_command completed', 'run_shell_command failed'],
  },
  cursor: {
    traces: ["agent_delegation completed 'Look' app", "user_prompt completed 'List the files' app"],
    tools: ['Shell completed', 'Shell failed 3'],
  },
  copilot: {
    traces: ["user_prompt completed 'List the files' app"],
    tools: ['bash completed', 'bash failed'],
  },
  opencode: {
    traces: ["user_prompt cancelled interrupted 'List the files' app"],
    tools: ['bash cancelled ask', 'bash completed 0'],
  },
};

/** Of all CLIs together: of each so many sessions. */
function expectedOf(kind: 'traces' | 'tools', count: (cli: AgentId) => number): string[] {
  return agentIds
    .flatMap((cli) => Array<string[]>(count(cli)).fill(expected[cli][kind]))
    .flat()
    .sort();
}

it('gives the same traces of six CLIs in order, doubled, and the end first', async () => {
  const calls = agentIds
    .flatMap((cli) =>
      hookSession(cli, `session-${cli}`, startMs).map((call, index) => ({
        ...{ cli, call },
        atMs: startMs + index * 100,
      })),
    )
    .toSorted((a, b) => a.atMs - b.atMs);
  expect(await collectSession(calls)).toMatchObject({ records: calls.length, quarantined: 0 });
  const once = await rows();
  expect(once).toMatchObject({
    traces: expectedOf('traces', () => 1),
    tools: expectedOf('tools', () => 1),
  });
  await collectSession(calls);
  expect(await rows()).toEqual(once);
  await begin();
  const half = Math.floor(calls.length / 2);
  await collectSession(calls.slice(half));
  await collectSession(calls.slice(0, half).reverse());
  expect(await rows()).toEqual(once);
});

it('gives the same traces of six CLIs whose hooks run at once, each event once', async () => {
  // Claude Code waits for few of its hooks. The others wait for each, but their sessions run beside each other.
  const sessionsOf = (cli: AgentId, count: number) =>
    Array.from({ length: count }, (_, index) => hookSession(cli, `${cli}-${index}`, startMs));
  const lanes = agentIds.flatMap((cli) => {
    const all = sessionsOf(cli, cli === 'claude' ? 1 : 2);
    const inOrder = cli === 'claude' ? all.flatMap((calls) => calls.map((call) => [call])) : all;
    return inOrder.map((calls) => ({ cli, calls }));
  });
  expect(lanes.length).toBeGreaterThanOrEqual(50);
  let child: ChildProcess | undefined;
  const running = runCli(['collect', '--json'], {
    env,
    onStart: (started) => (child = started),
  });
  const options = { env: { TRACE_CONSOLE_SPOOL: spool } };
  const exits = await Promise.all(
    lanes.map(async ({ cli, calls }) => {
      const codes: (number | null)[] = [];
      for (const { event, payload } of calls) {
        const { exitCode } = await runHook(payload, { ...options, cli, ...(event && { event }) });
        codes.push(exitCode);
      }
      return codes;
    }),
  );
  expect(new Set(exits.flat())).toEqual(new Set([0]));
  const told = exits.flat().length;
  const stored = async () => {
    const { rows: found } = await test.query<{ events: number }>(
      'SELECT sum(events)::int AS events FROM trace_console.spool_sources',
    );
    return found[0]?.events;
  };
  await vi.waitFor(async () => expect(await stored()).toBe(told), 30_000);
  child?.kill('SIGTERM');
  expect(JSON.parse((await running).stdout)).toMatchObject({ records: told, quarantined: 0 });
  const count = (cli: AgentId) => (cli === 'claude' ? 1 : 2);
  expect(await rows()).toMatchObject({
    traces: expectedOf('traces', count),
    tools: expectedOf('tools', count),
  });
});

it('gives a session whose transcript it follows while hooks come the rows of both', async () => {
  const projects = path.join(folder, '.claude/projects/-home-dev-shop');
  const file = path.join(projects, `${sessions.main}.jsonl`);
  const hooks = hooksOfSession().map(({ at, payload }) => ({
    at,
    call: { payload: { ...payload, transcript_path: file } },
  }));
  const transcripts = sessionWithSubagent();
  writeTranscripts(projects, transcripts);
  const imported = await runCli(['import', projects, '--yes'], { env });
  expect(imported).toMatchObject({ exitCode: 0 });
  for (const { at, call } of hooks) tell('claude', call, at);
  await runCli(['collect', '--once'], { env });
  const once = await dumpOf(test);
  expect(once.execution_traces).toHaveLength(3);
  expect(once.endpoint_calls).toHaveLength(7);

  await begin();
  fs.rmSync(projects, { recursive: true });
  let child: ChildProcess | undefined;
  const running = runCli(['collect'], {
    env,
    onStart: (started) => (child = started),
  });
  const lines = [...transcripts].flatMap(([name, content]) => {
    if (!name.endsWith('.jsonl')) return [{ name, atMs: 0, content }];
    return (
      content.match(/.*\n/g)?.map((line) => ({
        ...{ name, content: line },
        atMs: Date.parse((JSON.parse(line) as { timestamp: string }).timestamp),
      })) ?? []
    );
  });
  const steps = [
    ...lines.map(({ name, atMs, content }) => ({
      atMs,
      run: () => writeTranscripts(projects, new Map([[name, content]]), 'a'),
    })),
    ...hooks.map(({ at, call }) => ({ atMs: at, run: () => tell('claude', call, at) })),
  ].toSorted((a, b) => a.atMs - b.atMs);
  for (const [index, { run }] of steps.entries()) {
    run();
    if (index % 12 !== 11) continue;
    const { size } = fs.statSync(file);
    await vi.waitFor(async () => {
      const { rows: read } = await test.query<{ bytes: number }>(
        'SELECT read_bytes::int AS bytes FROM trace_console.ingest_files WHERE path = $1',
        [file],
      );
      expect(read[0]?.bytes).toBe(size);
    }, 30_000);
  }
  await vi.waitFor(async () => expect(await dumpOf(test)).toEqual(once), 30_000);
  child?.kill('SIGTERM');
  await running;
});
