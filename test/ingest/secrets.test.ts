import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findFiles } from '../../src/ingest/discover.js';
import { frameOf } from '../../src/ingest/hook/record.js';
import { importSessions } from '../../src/ingest/import.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { claude } from '../../src/ingest/sources/claude.js';
import { eventsOfRecord } from '../../src/ingest/collector/write-records.js';
import { ToolPairs } from '../../src/ingest/sources/hook-payload.js';
import { decodeFrames } from '../../src/ingest/spool/frame.js';
import { ClaudeLines, text, toolUse } from './claude-lines.js';
import { IngestDatabase } from './ingest-database.js';

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());

/** Each secret ends in this, so that one look finds what was left of any. */
const mark = 'Zq7Xw9';
// Put together at run time: scanners of repositories take them for real ones.
const key = ['sk', 'ant', 'api03', `AbCdEf0123456789${mark}`].join('-');
const token = `ghp_a1B2c3D4e5F6a1B2c3D4${mark}`;
const word = `hunter2${mark}`;

const planted = [
  `use the key ${key}, please`,
  `curl -H "Authorization: Bearer abcdefgh${mark}" https://x.test/?api_key=${word}`,
  `postgres://app:${word}@db.test:5432/shop`,
  `DB_PASSWORD=${word}\nNODE_ENV=test\nexport GITHUB_TOKEN="${token}"\n`,
  JSON.stringify({ config: { password: word, list: [{ client_secret: word }] } }),
  `-----BEGIN PRIVATE KEY-----\nMIIE${mark}\n-----END PRIVATE KEY-----`,
];

const deep = (value: string) => ({
  a: [{ b: { headers: { 'X-Api-Key': word, note: value } }, password: { inner: word } }],
  text: value,
});

async function everything(): Promise<string> {
  const { rows: tables } = await db.test.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname IN ('public', 'trace_console')`,
  );
  const dumps: string[] = [];
  for (const { name } of tables) {
    const { rows } = await db.test.query<{ row: string }>(
      `SELECT t::text AS row FROM ${name} AS t`,
    );
    dumps.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return dumps.join('\n');
}

it('keeps no secret of a transcript in any table', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-secrets-'));
  const lines = new ClaudeLines({ session: '7d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3a' });
  planted.forEach((secret, number) => {
    const id = `t${number}`;
    lines.prompt(secret, `p${number}`);
    lines.assistant(`m${number}`, [
      text(secret),
      toolUse(id, 'Bash', deep(secret)),
      toolUse(`${id}-task`, 'Task', { prompt: secret, description: secret }),
    ]);
    lines.result(id, secret, false, deep(secret));
    lines.result(`${id}-task`, `Exit code 1\n${secret}`, true);
    lines.line('attachment', {
      attachment: { type: 'hook_success', hookEvent: 'Stop', command: `x.sh ${secret}` },
    });
    lines.line('assistant', {
      isApiErrorMessage: true,
      message: { id: `e${number}`, role: 'assistant', content: [text(secret)] },
    });
  });
  // It has no result yet: what the reader remembers of it is stored as well.
  lines.assistant('last', [
    toolUse('open', 'Task', { prompt: planted[0], description: planted[3] }),
  ]);
  fs.writeFileSync(
    path.join(folder, '7d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3a.jsonl'),
    lines.toString(),
  );
  const files = await findFiles({ source: claude, paths: [folder] });
  const run = importSessions(files, { database: db.database, recorder: new Recorder(db.database) });
  while (!(await run.next()).done);
  fs.rmSync(folder, { recursive: true });
  const all = await everything();
  expect(all).toContain('[redacted]');
  expect(all.split('\n').filter((line) => line.includes(mark))).toEqual([]);
});

it('keeps no secret of a hook in the spool or in any table', async () => {
  const recorder = new Recorder(db.database);
  const events = [
    'Notification',
    'UserPromptSubmit',
    'PreToolUse',
    'PostToolUseFailure',
    'StopFailure',
  ];
  for (const [number, secret] of planted.entries()) {
    for (const event of events) {
      const payload = {
        session_id: 'hooked',
        hook_event_name: event,
        ...(event === 'Notification' ? {} : { prompt_id: `p${number}` }),
        cwd: '/home/dev/shop',
        prompt: secret,
        message: secret,
        tool_name: 'Bash',
        tool_use_id: `t${number}`,
        tool_input: deep(secret),
        error: secret,
        error_details: secret,
      };
      const frame = frameOf(
        { cli: 'claude', event, input: JSON.stringify(payload), atMs: 1_790_000_000_000 + number },
        { TRACEPARENT: secret },
      );
      expect(frame.toString('utf8')).not.toContain(mark);
      const { records } = decodeFrames(frame, true, 10);
      for (const record of records) {
        // As if the spool had been written by somebody who took nothing out.
        const raw = { ...record, payload };
        await recorder.record(eventsOfRecord(raw, new ToolPairs()) ?? []);
      }
    }
  }
  const all = await everything();
  expect(all.split('\n').filter((line) => line.includes(mark))).toEqual([]);
});

it('strips NUL and halves of surrogate pairs, and cuts what is too long with a mark', async () => {
  const base = { source: 'hook', agent: 'claude-code', session: 'odd', turn: 'p', at: 1 } as const;
  const odd = `a\0b\ud83dc`;
  await new Recorder(db.database).record([
    { ...base, kind: 'prompt', text: 'x'.repeat(70_000) },
    { ...base, kind: 'tool_started', toolUse: 't', tool: odd, input: { [odd]: [odd] } },
  ]);
  const { rows } = await db.test.query<{ prompt: string; tool: string; input: string }>(
    `SELECT t.prompt_text AS prompt, h.tool_name AS tool, h.input_data::text AS input
     FROM execution_traces AS t JOIN hook_executions AS h ON h.trace_id = t.id
     WHERE t.context->>'session' = 'odd'`,
  );
  expect(rows[0]?.prompt).toMatch(/^x{65536}… \[4464 more characters cut\]$/);
  expect(rows[0]?.tool).toBe('ab\ufffdc');
  expect(rows[0]?.input).toBe('{"ab\ufffdc": ["ab\ufffdc"]}');
});
