import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { runHook } from '../helpers/hook.js';
import { writeTranscripts } from './claude-folder.js';
import { ClaudeLines, text } from './claude-lines.js';

const sources = ['a transcript', 'a hook', 'a hook with a secret', 'telemetry'] as const;

it.each(sources)('numbers in what a tool is given are stored to the digit: %s', async (source) => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-exact-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, TRACE_CONSOLE_SPOOL: join(folder, 'spool') };
  const input = '{"account":1005254182451511297,"share":0.12345678901234567890,"count":12}';
  const run = async (...args: string[]) => {
    const { exitCode, stderr } = await runCli(args, { env });
    expect(exitCode, stderr).toBe(0);
  };
  const atMs = Date.now() - 3_600_000;
  if (source === 'a transcript') {
    const lines = new ClaudeLines({
      session: '7d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3b',
      startMs: atMs,
    });
    lines.prompt('look it up', 'p1');
    const call = { type: 'tool_use', id: 'toolu_1', name: 'Lookup', input: 'INPUT' };
    lines.assistant('m1', [call], { stop_reason: 'tool_use' });
    lines.assistant('m2', [text('done')], { stop_reason: 'end_turn' });
    const written = lines.toString().replace('"INPUT"', input);
    writeTranscripts(join(folder, 'sessions'), new Map([['one.jsonl', written]]));
    await run('import', 'claude', join(folder, 'sessions'), '--yes');
  } else if (source === 'telemetry') {
    const span = {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      name: 'execute_tool Lookup',
      startTimeUnixNano: `${atMs}000000`,
      endTimeUnixNano: `${atMs + 5}000000`,
      attributes: [
        { key: 'gen_ai.operation.name', value: { stringValue: 'execute_tool' } },
        { key: 'gen_ai.tool.name', value: { stringValue: 'Lookup' } },
        { key: 'gen_ai.tool.call.arguments', value: { stringValue: input } },
      ],
    };
    const file = join(folder, 'spans.jsonl');
    writeFileSync(file, JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }));
    await run('import', 'otlp', file, '--yes');
  } else {
    const given = source === 'a hook' ? input : input.replace('}', ',"password":"x1"}');
    const told = { session_id: 's1', tool_name: 'Lookup', tool_use_id: 'toolu_1', tool_input: 'I' };
    const payload = JSON.stringify({ hook_event_name: 'PreToolUse', ...told }).replace(
      '"I"',
      given,
    );
    const prompt = { session_id: 's1', hook_event_name: 'UserPromptSubmit', prompt: 'look it up' };
    for (const event of [prompt, payload]) {
      await runHook(event, { env: { TRACE_CONSOLE_SPOOL: env.TRACE_CONSOLE_SPOOL } });
    }
    await run('collect', '--once');
  }
  const { rows } = await database.query<{ row: string }>(
    `SELECT h::text AS row FROM hook_executions AS h WHERE tool_name = 'Lookup'`,
  );
  expect(rows.map(({ row }) => row.replaceAll('""', '"')).join()).toMatch(
    /"account": 1005254182451511297\b.*"share": 0\.12345678901234567890\b|"share": 0\.12345678901234567890\b.*"account": 1005254182451511297\b/,
  );
});
