import { fc } from '../helpers/seeds.js';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RowCopier } from '../../src/ingest/copy-rows.js';
import { toolCallId, turnId } from '../../src/ingest/ids.js';
import { Prices } from '../../src/ingest/prices.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { writeRows, type HookRow, type TraceRow } from '../../src/ingest/rows.js';
import { claude } from '../../src/ingest/sources/claude.js';
import { ClaudeLines, text, toolUse } from './claude-lines.js';
import { IngestDatabase, type Dump } from './ingest-database.js';

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());
afterEach(() => db.clear());

const session = '0d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b00';
const startMs = 1_790_600_000_000;

const trace: TraceRow = {
  id: turnId(session, 'p1'),
  correlation_id: turnId(session, 'p1'),
  root_id: turnId(session, 'p1'),
  parent_id: null,
  session_id: session,
  user_id: null,
  project: 'shop',
  source: 'user_prompt',
  prompt_text: 'One',
  status: 'completed',
  error_type: null,
  error_message: null,
  model: null,
  provider: null,
  input_tokens: 4_503_599_627_370_497,
  output_tokens: 0,
  cache_read_tokens: null,
  cache_creation_tokens: 7,
  cost_usd: 10_203.040506,
  context: {},
  tags: ['otlp:0af7', 'a "b", {ü} \\'],
  started_at: startMs,
  completed_at: startMs + 0.0625,
  duration_ms: -3_000_000_000,
};

/** Texts with what PostgreSQL refuses, and what its formats have signs for. */
const odd = fc.string({
  unit: fc.constantFrom('a', '\\', '"', '\n', '\t', '\0', '\ud800', 'é', '…', '😀', '\\u0000'),
});

const hook = fc.record({
  started_at: fc.double({ min: startMs, max: startMs + 1e9, noNaN: true }),
  duration_ms: fc.option(fc.maxSafeInteger()),
  exit_code: fc.option(fc.integer()),
  file_path: fc.option(odd),
  input_data: fc.option(fc.jsonValue({ stringUnit: 'grapheme' })),
  output_data: fc.option(fc.dictionary(odd, odd)),
});

const hookRow = (fields: Partial<HookRow>, index: number): HookRow => ({
  ...{ id: toolCallId(session, `t${index}`), trace_id: trace.id },
  ...{ hook_type: 'ToolUse', hook_name: 'tool', tool_name: 'Bash', tool_use_id: `t${index}` },
  ...{ agent_id: null, file_path: null, status: 'completed', exit_code: null, decision: null },
  ...{ started_at: startMs, completed_at: startMs, duration_ms: null, metadata: { index } },
  ...{ input_data: null, output_data: null, error_type: null, error_message: null },
  ...(fields as object),
});

it('writes what an INSERT would write, to the bit', async () => {
  const costs = [0, 1e-6, 0.5, 1_234.5, 99_999_999.999999];
  const traces = Array.from({ length: 20 }, (_, index): TraceRow => {
    const id = index === 0 ? trace.id : turnId(session, `p${index + 1}`);
    return { ...trace, id, correlation_id: id, cost_usd: costs[index % costs.length] ?? null };
  });
  const copier = new RowCopier();
  const written = async (hooks: readonly HookRow[], isCopied: boolean) => {
    await db.clear();
    await db.database.transaction({}, async (tx) => {
      if (!isCopied) {
        await writeRows(tx, 'execution_traces', traces);
        await writeRows(tx, 'hook_executions', hooks);
        return;
      }
      expect(await copier.write(tx, 'execution_traces', traces)).toBe(true);
      expect(await copier.write(tx, 'hook_executions', hooks)).toBe(true);
    });
    return db.dump();
  };
  const some = fc.array(hook, { minLength: 20, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(some, async (fields) => {
      const hooks = fields.map((each, index) => hookRow(each as Partial<HookRow>, index));
      expect(await written(hooks, true)).toEqual(await written(hooks, false));
    }),
    { numRuns: 15 },
  );
});

/** A turn with 30 tool calls, each of them one model call. */
function eventsOfTurn() {
  const lines = new ClaudeLines({ session, startMs });
  lines.prompt('Look at it all', 'p1');
  for (let index = 0; index < 30; index += 1) {
    const message = { stop_reason: 'tool_use' };
    lines.assistant(`m${index}`, [toolUse(`t${index}`, 'Bash', { command: 'ls' })], message);
    lines.result(`t${index}`, `file ${index}`);
  }
  lines.assistant('m30', [text('Done.')], { stop_reason: 'end_turn' });
  const reader = claude.open({ path: '/nowhere/projects/shop/none.jsonl' }, undefined);
  return lines.lines.flatMap((line) => reader.read(Buffer.from(JSON.stringify(line))) ?? []);
}

async function record(): Promise<{ dump: Dump; copied: string[] }> {
  const before = db.database.statements.entries.at(-1);
  await new Recorder(db.database, { prices: new Prices() }).record(eventsOfTurn());
  const { entries } = db.database.statements;
  const mine = before ? entries.slice(entries.lastIndexOf(before) + 1) : entries;
  const copied = mine.flatMap(({ text: sql, failure }) => {
    const table = /^COPY "(\w+)"/.exec(sql)?.[1];
    return table === undefined ? [] : [failure === undefined ? table : `${table}: ${failure}`];
  });
  return { dump: await db.dump(), copied };
}

it('copies the rows of a turn, and leaves to INSERT what is there already or has another shape', async () => {
  const once = await record();
  expect(once.copied).toEqual(['hook_executions', 'endpoint_calls']);
  expect((await record()).dump).toEqual(once.dump);

  // One row of a session that is not known otherwise.
  await db.clear();
  await db.database.transaction({}, async (tx) => {
    await writeRows(tx, 'execution_traces', [
      { ...trace, session_id: trace.id, id: trace.session_id },
    ]);
    await writeRows(tx, 'hook_executions', [{ ...hookRow({}, 3), trace_id: trace.session_id }]);
  });
  await db.test.query(`UPDATE execution_traces SET correlation_id = id, root_id = id`);
  const beside = await record();
  expect(beside.copied).toEqual([expect.stringContaining('hook_executions: ')]);
  expect(beside.dump.hook_executions).toEqual(once.dump.hook_executions);

  await db.clear();
  await db.test.query('ALTER TABLE hook_executions ALTER exit_code TYPE bigint');
  try {
    const older = await record();
    expect(older.copied).toEqual(['endpoint_calls']);
    expect(older.dump).toEqual(once.dump);
  } finally {
    await db.test.query('ALTER TABLE hook_executions ALTER exit_code TYPE integer');
  }
});
