import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findFiles, type FoundFile } from '../../src/ingest/discover.js';
import { importSessions, type ImportResult } from '../../src/ingest/import.js';
import { Prices } from '../../src/ingest/prices.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { claude } from '../../src/ingest/sources/claude.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import {
  copiesOf,
  oddSession,
  sessionWithSubagent,
  sessions,
  sessionsOfSameIds,
  writeTranscripts,
} from './claude-folder.js';
import { countTranscripts } from './count-transcripts.js';
import { IngestDatabase } from './ingest-database.js';

let db: IngestDatabase;
let folder: string;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-import-'));
});
afterEach(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  await db.clear();
});

async function importFolder({ dryRun = false } = {}): Promise<ImportResult> {
  return importAll(await findFiles({ source: claude, paths: [folder] }), { dryRun });
}

async function importAll(
  files: readonly FoundFile[],
  { dryRun = false } = {},
): Promise<ImportResult> {
  const prices = new Prices();
  const recorder = dryRun ? undefined : new Recorder(db.database, { prices });
  const run = importSessions(files, { database: db.database, recorder, prices });
  for (;;) {
    const next = await run.next();
    if (next.done) return next.value;
  }
}

/** What is counted of what stands in files; costs to a millionth of a dollar. */
const countedIn = ({ prompts, modelCalls, toolCalls, failedToolCalls, ...all }: ImportResult) => [
  ...[prompts, modelCalls, toolCalls, failedToolCalls, all.subagents],
  ...Object.values(all.tokens),
  Math.round(all.costUsd * 1e6),
];

const whole = () => {
  const session = sessionWithSubagent();
  return new Map([...session, ...oddSession(), ...copiesOf(session)]);
};

describe('the counts of an import', () => {
  it.each([
    ['a session with a subagent and a compaction', sessionWithSubagent],
    ['a session of odd lines', oddSession],
    ['copies beside what they are copies of', whole],
    ['sessions that share no more than ids', sessionsOfSameIds],
  ])('are those of a plain count: %s', async (_, make) => {
    const transcripts = make();
    writeTranscripts(folder, transcripts);
    const counted = countTranscripts(transcripts);
    const { costUsd, ...counts } = counted;
    const imported = await importFolder();
    expect(imported).toMatchObject(counts);
    expect(imported.costUsd).toBeCloseTo(costUsd, 5);
    // Also what a slash command began, before the first prompt of its session.
    const early = ['hook_executions', 'endpoint_calls'].map((table) =>
      db.count(
        `${table} AS c`,
        'EXISTS (SELECT FROM execution_traces AS t WHERE t.id = c.trace_id AND c.started_at < t.started_at)',
      ),
    );
    expect(await Promise.all(early)).toEqual([0, 0]);
  });

  /** A folder of Claude Code's own files, of whatever version: counts and tokens are compared, not prices. */
  const real = process.env.TRACE_CONSOLE_TEST_TRANSCRIPTS;
  it.runIf(real !== undefined)('are those of a plain count: real files', async () => {
    const names = fs
      .readdirSync(real ?? '', { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.jsonl'));
    expect(names).not.toEqual([]);
    const read = (name: string) => fs.readFileSync(path.join(real ?? '', name), 'utf8');
    const all = new Map(names.map((name) => [name, read(name)]));
    // A subagent's file alone does not say all of it: such folders are compared as a whole.
    const alone = [...all].filter(([name]) => !name.includes('subagents/'));
    for (const transcripts of [...alone.map((each) => new Map([each])), all]) {
      writeTranscripts(folder, transcripts);
      const { prompts, modelCalls, toolCalls, failedToolCalls, subagents, tokens } =
        countTranscripts(transcripts);
      const counts = { prompts, modelCalls, toolCalls, failedToolCalls, subagents, tokens };
      const dryRun = transcripts !== all;
      expect([[...transcripts.keys()], await importFolder({ dryRun })]).toMatchObject([
        [...transcripts.keys()],
        counts,
      ]);
      if (dryRun) fs.rmSync(folder, { recursive: true });
    }
  });

  it('leave out what the database refuses, and nothing else', async () => {
    const session = sessionWithSubagent();
    const name = `${sessions.main}.jsonl`;
    const lines = (session.get(name) ?? '').trimEnd().split('\n');
    // A subagent that began before all time, and a line from after it.
    const odd = lines.map((line) =>
      line.replace('"totalDurationMs":4000', '"totalDurationMs":1e300'),
    );
    const late = odd
      .at(-1)
      ?.replace(/"timestamp":"[^"]+"/, '"timestamp":"+200000-01-01T00:00:00Z"');
    session.set(name, `${[...odd, late].join('\n')}\n`);
    writeTranscripts(folder, session);
    const result = await importFolder();
    expect(result).toMatchObject({ skippedLines: 2, prompts: 2, modelCalls: 7, toolCalls: 5 });
    expect(await db.count('endpoint_calls')).toBe(7);
    expect(await db.count('hook_executions', "hook_type = 'ToolUse'")).toBe(5);
    expect((await importFolder()).written.rows.execution_traces).toBe(0);
  });

  it('are those of the rows', async () => {
    writeTranscripts(folder, whole());
    const result = await importFolder();
    expect({
      prompts: await db.count(
        'execution_traces',
        "parent_id IS NULL AND source <> 'slash_command'",
      ),
      subagents: await db.count('execution_traces', 'parent_id IS NOT NULL'),
      modelCalls: await db.count('endpoint_calls'),
      toolCalls: await db.count('hook_executions', "hook_type = 'ToolUse'"),
      failedToolCalls: await db.count('hook_executions', 'error_type IS NOT NULL'),
      sessions: await db.count('trace_console.agent_sessions'),
    }).toEqual({
      prompts: result.prompts,
      subagents: result.subagents,
      modelCalls: result.modelCalls,
      toolCalls: result.toolCalls,
      failedToolCalls: result.failedToolCalls,
      sessions: result.sessions,
    });
    const { rows } = await db.test.query<{ tokens: number[]; cost: number }>(
      `SELECT ARRAY[sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
         sum(cache_creation_tokens)]::int[] AS tokens, sum(cost_usd)::float8 AS cost FROM execution_traces`,
    );
    const { input, output, cacheRead, cacheCreation } = result.tokens;
    expect(rows[0]?.tokens).toEqual([input, output, cacheRead, cacheCreation]);
    expect(rows[0]?.cost).toBeCloseTo(result.costUsd, 5);
  });

  it('hold what a subagent without a file of its own was said to have done', async () => {
    const session = sessionWithSubagent();
    session.delete(`${sessions.main}/subagents/agent-a1.jsonl`);
    writeTranscripts(folder, session);
    expect(await importFolder()).toMatchObject({ subagents: 1, modelCalls: 5, toolCalls: 3 });
    const { rows } = await db.test.query(
      `SELECT status, context->'subagent' AS subagent, input_tokens FROM execution_traces
       WHERE parent_id IS NOT NULL`,
    );
    expect(rows).toEqual([
      {
        status: 'completed',
        subagent: { total_tokens: 900, tool_calls: 2, duration_ms: 4_000 },
        input_tokens: null,
      },
    ]);
  });

  it('name the models that no price is known of, and count lines that nobody knows', async () => {
    writeTranscripts(folder, oddSession());
    expect(await importFolder({ dryRun: true })).toMatchObject({
      unpriced: ['nobodys-model', 'unknown'],
      skippedLines: 3,
    });
    expect(await db.count('execution_traces')).toBe(0);
  });
});

describe('an import', () => {
  it('that is run again changes nothing, and reads nothing', async () => {
    writeTranscripts(folder, whole());
    await importFolder();
    const first = await db.dump();
    expect(await importFolder()).toMatchObject({
      modelCalls: 0,
      written: { rows: { execution_traces: 0, hook_executions: 0, endpoint_calls: 0 } },
    });
    expect(await db.dump()).toEqual(first);
  });

  it('gives the same rows in halves, and of files that grow', async () => {
    const transcripts = whole();
    writeTranscripts(folder, transcripts);
    const counts = countedIn(await importFolder());
    const once = await db.dump();
    await db.clear();
    fs.rmSync(folder, { recursive: true });
    const sums = counts.map(() => 0);
    for (const share of [0.3, 0.6, 1]) {
      for (const [name, content] of transcripts) {
        const end = name.endsWith('.json') ? content.length : Math.floor(content.length * share);
        // In the middle of a line, as a program that writes would leave it.
        writeTranscripts(folder, new Map([[name, content.slice(0, end)]]));
      }
      const part = countedIn(await importFolder());
      for (const [index, count] of part.entries()) sums[index] = (sums[index] ?? 0) + count;
    }
    expect(await db.dump()).toEqual(once);
    // What one run has begun to count the next one does not count again.
    expect(sums).toEqual(counts);
  });

  it('passes over what cannot be read, follows links once, and waits for no pipe', async () => {
    const transcripts = sessionWithSubagent();
    writeTranscripts(folder, transcripts);
    await importFolder();
    const rows = await db.dump();
    await db.clear();
    const [name = ''] = transcripts.keys();
    fs.symlinkSync(folder, path.join(folder, 'circle'));
    fs.symlinkSync(path.join(folder, name), path.join(folder, 'again.jsonl'));
    execFileSync('mkfifo', [path.join(folder, 'pipe.jsonl')]);
    execFileSync('mkfifo', [path.join(folder, 'agent-piped.meta.json')]);
    fs.writeFileSync(path.join(folder, 'agent-piped.jsonl'), '');
    const files = await findFiles({ source: claude, paths: [folder] });
    expect(files).toHaveLength(transcripts.size);
    const gone = path.join(folder, 'gone.jsonl');
    const all = [{ source: claude, file: { path: gone }, size: 1, changedAt: 1 }, ...files];
    expect(await importAll(all)).toMatchObject({
      unreadable: [{ path: gone, reason: 'no such file or directory' }],
    });
    expect(await db.dump()).toEqual(rows);
  });

  it('asks before it makes a schema on a server', async () => {
    const server = await createTestDatabase({ schema: false });
    writeTranscripts(folder, sessionWithSubagent());
    const words = ['import', 'claude', folder, '--url', server.url];
    expect(await runCli(words)).toMatchObject({ exitCode: 4 });
    const { rows } = await server.query(
      `SELECT FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace
       WHERE nspname IN ('public', 'trace_console')) AND relname = 'execution_traces'`,
    );
    expect(rows).toEqual([]);
    expect(await runCli([...words, '--yes'])).toMatchObject({ exitCode: 0 });
    await server.drop();
  });

  it('tells as JSON what it would bring in, and in words when nothing is new', async () => {
    writeTranscripts(folder, sessionWithSubagent());
    const words = ['import', 'claude', folder, '--dry-run', '--url', db.test.url];
    const { stdout, exitCode } = await runCli([...words, '--json'], {});
    expect(exitCode).toBe(0);
    await importFolder();
    expect((await runCli(words, {})).stdout).toContain('Nothing new was found.');
    const none = path.join(folder, 'none');
    fs.mkdirSync(none);
    const { stdout: found } = await runCli(['import', none, '--url', db.test.url], {});
    expect(found).toBe(`No transcripts were found in\n  ${none}\n`);
    const { costUsd, ...counts } = countTranscripts(sessionWithSubagent());
    expect(JSON.parse(stdout)).toMatchObject({ ...counts, files: 3, sessions: 1, dryRun: true });
    expect(costUsd).toBeGreaterThan(0.05);
  });
});
