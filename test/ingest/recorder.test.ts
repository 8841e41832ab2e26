import { fc } from '../helpers/seeds.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../src/ingest/events.js';
import { agentIds } from '../../src/ingest/install/agent.js';
import type { TelemetryLog } from '../../src/ingest/otlp/decode.js';
import { logEvents } from '../../src/ingest/otlp/log-events.js';
import { Prices } from '../../src/ingest/prices.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { claude } from '../../src/ingest/sources/claude.js';
import { eventsOfRecord } from '../../src/ingest/collector/write-records.js';
import { ToolPairs } from '../../src/ingest/sources/hook-payload.js';
import type { SpoolRecord } from '../../src/ingest/spool/frame.js';
import { hooksOfSession, sessionWithSubagent, type Transcripts } from './claude-folder.js';
import { ClaudeLines } from './claude-lines.js';
import { IngestDatabase, type Dump } from './ingest-database.js';
import { hookSession } from './sources/payloads.js';

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());
afterEach(() => db.clear());

/** Everything that the files of a folder tell. */
function eventsOfFiles(transcripts: Transcripts): AgentEvent[] {
  return [...transcripts].flatMap(([name, content]) => {
    const file = claude.describe(`/nowhere/projects/shop/${name}`);
    if (!file) return [];
    const sidecar = transcripts.get(name.replace(/\.jsonl$/, '.meta.json'));
    const told = sidecar === undefined ? {} : { sidecar: JSON.parse(sidecar) as object };
    const reader = claude.open({ ...file, ...told } as typeof file, undefined);
    const lines = content.trimEnd().split('\n');
    return lines.flatMap((line) => reader.read(Buffer.from(line)) ?? []);
  });
}

function recordOf(
  cli: string,
  { event, payload }: { event?: string; payload: unknown },
  atMs: number,
) {
  const record: SpoolRecord = {
    id: `${cli}-${atMs}`,
    at: `${atMs}000000`,
    cli,
    ...(event === undefined ? {} : { event }),
    payload,
    bytes: 1,
  };
  return record;
}

const eventsOfHooks = (
  cli: string,
  hooks: readonly { at: number; event?: string; payload: unknown }[],
) => {
  const pairs = new ToolPairs();
  return hooks.flatMap((hook) => eventsOfRecord(recordOf(cli, hook, hook.at), pairs) ?? []);
};

async function record(...batches: (readonly AgentEvent[])[]): Promise<Dump> {
  await db.clear();
  const recorder = new Recorder(db.database, { prices: new Prices() });
  for (const batch of batches) await recorder.record(structuredClone([...batch]));
  return db.dump();
}

/** Some order of events, cut into batches, with some of the events twice. */
const arrivals = (events: readonly AgentEvent[]) =>
  fc
    .record({
      order: fc.shuffledSubarray([...events.keys()], { minLength: events.length }),
      again: fc.subarray([...events.keys()], { maxLength: 5 }),
      cuts: fc.array(fc.nat(events.length + 5), { maxLength: 3 }),
    })
    .map(({ order, again, cuts }) => {
      const all = [...order, ...again];
      const ends = [...cuts.toSorted((a, b) => a - b), all.length];
      return ends.map((end, index) => all.slice(ends[index - 1] ?? 0, end));
    });

async function expectSameInAnyOrder(events: readonly AgentEvent[], numRuns: number): Promise<Dump> {
  const once = await record(events);
  await fc.assert(
    fc.asyncProperty(arrivals(events), async (batches) => {
      const picked = batches.map((batch) => batch.flatMap((index) => events[index] ?? []));
      expect(await record(...picked)).toEqual(once);
    }),
    { numRuns },
  );
  return once;
}

describe('a session gives the same rows', () => {
  const transcript = eventsOfFiles(sessionWithSubagent());
  const hooks = eventsOfHooks('claude', hooksOfSession());

  it('by its transcripts, in any order, doubled and in any batches', async () => {
    const rows = await expectSameInAnyOrder(transcript, 12);
    expect(rows.execution_traces).toHaveLength(3);
  });

  it('by its hooks, in any order, doubled and in any batches', async () => {
    const rows = await expectSameInAnyOrder(hooks, 12);
    expect(rows.execution_traces).toHaveLength(3);
  });

  it('by both, in any order, doubled and in any batches', async () => {
    const rows = await expectSameInAnyOrder([...transcript, ...hooks], 20);
    expect(rows.execution_traces).toHaveLength(3);
    expect(rows.execution_traces).toMatchObject([1, 2, 3].map(() => ({ status: 'completed' })));
  });
});

describe('what hooks tell gives the same rows', () => {
  it.each(agentIds)(
    'of every event of %s, in any order, doubled and in any batches',
    async (cli) => {
      const startMs = 1_790_300_000_000;
      // The session is resumed: what names no turn may belong to either of its turns.
      const calls = [startMs, startMs + 60_000].flatMap((beginMs) =>
        hookSession(cli, `session-${cli}`, beginMs).map((call, index) => ({
          ...call,
          at: beginMs + index * 100,
        })),
      );
      const rows = await expectSameInAnyOrder(eventsOfHooks(cli, calls), 8);
      expect(rows.execution_traces?.length).toBeGreaterThan(0);
    },
  );
});

describe('a session that no turn is told of', () => {
  const startMs = 1_790_400_000_000;
  const base = { source: 'hook', agent: 'claude-code', session: 'no-turn' } as const;
  const prompt = (turn: string, atMs: number): AgentEvent => ({
    ...{ ...base, turn, at: startMs + atMs, kind: 'prompt', text: turn },
  });
  /** Each tool call has a note beside it; the last call is a subagent's. */
  const work = Array.from({ length: 150 }, (_, index): AgentEvent[] => {
    const tool = { toolUse: `t${index}`, tool: 'Bash' };
    const at = startMs + index * 100;
    const inside = index === 149 ? { subagent: 'helper' } : {};
    return [
      { ...base, ...inside, at, kind: 'tool_started', ...tool, input: { index } },
      { ...base, ...inside, at: at + 50, kind: 'tool_ended', ...tool, outcome: 'completed' },
      { ...base, at, kind: 'note', event: 'Notification', id: `n${index}`, text: 'waits' },
    ];
  }).flat();
  const routed: AgentEvent = {
    ...{ ...base, at: startMs + 10_000, kind: 'routing', id: 'r', selected: 'm', strategy: 's' },
  };

  it('has all its rows, also where they are more than can wait for one', async () => {
    const rows = await record(work.slice(0, 90), work.slice(90, 330), [...work.slice(330), routed]);
    expect(rows.hook_executions).toHaveLength(300);
    expect(rows.agent_routing_decisions).toHaveLength(1);
    expect(rows.execution_traces).toHaveLength(2);
    expect(await db.count('trace_console.agent_sessions', `unplaced = '[]'`)).toBe(1);
  });

  it('gives them to the turns that are told of later, and keeps no other', async () => {
    const prompts = [prompt('first', -1_000), prompt('second', 7_000)];
    const once = await record([...prompts, ...work, routed]);
    expect(once.execution_traces).toHaveLength(3);
    expect(await record(work, [routed], prompts)).toEqual(once);
    expect(
      await record(work.slice(0, 300), prompts.slice(1), work.slice(300), [routed], prompts),
    ).toEqual(once);
  });
});

it('takes a session for one, however its id is written, and an exit code that is none for nothing', async () => {
  const id = '0D2F7C55-6F0E-4E0D-9A55-0F5F3D1C2BFF';
  const at = 1_790_500_000_000;
  const base = { source: 'hook', agent: 'claude-code', turn: 'p1', at } as const;
  const tool = {
    toolUse: 't1',
    tool: 'Bash',
    outcome: 'failed',
    exitCode: 99_999_999_999,
  } as const;
  const rows = await record([
    { ...base, session: id, kind: 'prompt', text: 'One' },
    { ...base, session: id.toLowerCase(), kind: 'tool_ended', ...tool },
  ]);
  expect(rows.execution_traces).toHaveLength(1);
  expect(rows.hook_executions).toMatchObject([{ status: 'failed', exit_code: null }]);
});

it('has an error of the API as one failed call of a model, with its words, whichever source tells of it', async () => {
  const session = '0d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3c';
  const startMs = 1_790_000_000_000;
  const recorder = new Recorder(db.database);
  const logOf = (event: string, atMs: number, attributes: object): TelemetryLog => ({
    resource: { 'service.name': 'claude-code' },
    at: startMs + atMs,
    event,
    attributes: { 'session.id': session, 'prompt.id': 'p1', ...attributes },
  });
  const answer = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  const file = new ClaudeLines({ session, startMs });
  file.prompt('Make the tests pass', 'p1');
  file.line('system', {
    subtype: 'api_error',
    error: { status: 529, requestID: 'req-x', error: answer },
    retryAttempt: 1,
  });
  const reader = claude.open({ path: `/nowhere/${session}.jsonl`, session }, undefined);
  const told = file.lines.flatMap((line) => reader.read(Buffer.from(JSON.stringify(line))) ?? []);
  const logged = [
    logOf('user_prompt', 1_000, { prompt: '<REDACTED>' }),
    logOf('api_error', 2_000, {
      model: 'claude-opus-4-6',
      error: `529 ${JSON.stringify(answer)}`,
      status_code: '529',
      duration_ms: 800,
      attempt: 1,
      request_id: 'req-x',
    }),
  ].flatMap((each) => logEvents(each) ?? []);
  for (const batches of [[logged], [told, logged], [logged, told], [[...told, ...logged]]]) {
    await db.clear();
    for (const batch of batches) await recorder.record(batch);
    const { rows: calls } = await db.test.query(
      `SELECT service_name, status_code, success, error_type, error_message, retry_count, context->>'model' AS model
       FROM endpoint_calls`,
    );
    expect(calls).toEqual([
      {
        service_name: 'anthropic',
        status_code: 529,
        success: false,
        error_type: 'overloaded_error',
        error_message: expect.stringContaining('Overloaded') as string,
        retry_count: 0,
        model: 'claude-opus-4-6',
      },
    ]);
    expect(await db.count('hook_executions')).toBe(0);
  }
  const broken = { status: 'failed', error: 'spawn ENOENT', server_name: 'search' };
  await recorder.record(logEvents(logOf('mcp_server_connection', 3_000, broken)) ?? []);
  expect(
    await db.count('hook_executions', `status = 'failed' AND error_message = 'spawn ENOENT'`),
  ).toBe(1);
});
