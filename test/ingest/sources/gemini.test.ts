import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import { gemini } from '../../../src/ingest/sources/gemini.js';
import { eventsOfRecord } from '../../../src/ingest/collector/write-records.js';
import type { ReaderState, TranscriptFile } from '../../../src/ingest/sources/source.js';
import { ToolPairs } from '../../../src/ingest/sources/hook-payload.js';
import { answer, chat, header, user, type Line } from './chats.js';

const chats = '/nowhere/.gemini/tmp/shop/chats';
const own: TranscriptFile = { path: `${chats}/session-2026-09-21T00-00-s1.jsonl` };

function read(lines: readonly Line[], file = own, state?: ReaderState) {
  const reader = gemini.open(file, state);
  let unknown = 0;
  const events = lines.flatMap((line) => {
    const found = reader.read(Buffer.from(JSON.stringify(line)));
    if (found === undefined) unknown += 1;
    return found ?? [];
  });
  return { events, unknown, reader };
}

const only = <Kind extends AgentEvent['kind']>(events: readonly AgentEvent[], kind: Kind) =>
  events.filter((event): event is Extract<AgentEvent, { kind: Kind }> => event.kind === kind);

/** What a chat holds, counted from its lines alone: the last copy of each message. */
function countLines(lines: readonly Line[]) {
  const messages = [...new Map(lines.map((line) => [line.id, line])).values()];
  const answers = messages.filter(({ type }) => type === 'gemini');
  const tools = answers.flatMap(({ toolCalls }) => (toolCalls as Line[] | undefined) ?? []);
  return {
    prompts: messages.filter(({ type }) => type === 'user').length,
    calls: answers.filter(({ tokens }) => tokens !== null && tokens !== undefined).length,
    tools: tools.length,
    failed: tools.filter(({ status }) => status === 'error').length,
  };
}

function countEvents(events: readonly AgentEvent[]) {
  const distinct = (names: readonly string[]) => new Set(names).size;
  return {
    prompts: distinct(only(events, 'prompt').map(({ turn }) => turn ?? '')),
    calls: distinct(only(events, 'model_call').map(({ message }) => message)),
    tools: distinct(only(events, 'tool_started').map(({ toolUse }) => toolUse)),
    failed: distinct(
      only(events, 'tool_ended').flatMap(({ toolUse, error }) => (error ? toolUse : [])),
    ),
  };
}

it('counts a message that is written again as it grows once', () => {
  const lines = chat('s1');
  const { events, unknown } = read(lines);
  expect(countEvents(events)).toEqual(countLines(lines));
  expect(countEvents(events)).toEqual({ prompts: 2, calls: 3, tools: 4, failed: 1 });
  expect(unknown).toBe(0);
});

it('tells uncached input from what was read from the cache; thinking is output', () => {
  const [call] = only(read(chat('s1')).events, 'model_call').slice(-1);
  expect(call).toMatchObject({
    provider: 'google',
    model: 'gemini-3-pro',
    usage: { input: 400, cacheRead: 600, output: 50 + 20 },
  });
});

it('counts what tools gave to the model where the total does', () => {
  const tokens = { input: 100, output: 10, cached: 0, thoughts: 0, tool: 5 };
  const lines = [
    header('s1'),
    answer('m1', { tokens: { ...tokens, total: 115 } }),
    answer('m2', { tokens: { ...tokens, total: 110 } }),
  ];
  expect(only(read(lines).events, 'model_call').map(({ usage }) => usage?.input)).toEqual([
    105, 100,
  ]);
});

it('keeps what a rewind took back, and passes over a shortened copy of what was read', () => {
  const lines = chat('s1');
  const rewound = [
    ...lines,
    { $rewindTo: 'u2' },
    { $set: { messages: [user('summary', '<state_snapshot>…</state_snapshot>')] } },
  ];
  expect(countEvents(read(rewound).events)).toEqual(countLines(lines));
});

it('reads a chat of early versions, one object', () => {
  const [, ...messages] = chat('s1');
  const whole = { ...header('s1'), messages };
  expect(countEvents(read([whole]).events)).toEqual(countLines(messages));
});

it('ends a turn by what the program says: an error, an interrupt', () => {
  const said = (type: string, content: string) => ({ ...user(`${type}1`, content), type });
  const { events } = read([
    header('s1'),
    user('u1', 'go'),
    said('error', '[API Error: quota]'),
    user('u2', 'go on'),
    said('info', 'Request cancelled.'),
  ]);
  expect(only(events, 'turn_ended')[0]?.error?.message).toBe('[API Error: quota]');
  expect(only(events, 'interrupted')[0]?.turn).toBe(only(events, 'prompt')[1]?.turn);
});

it('reads on from any line as if it had not stopped', () => {
  const lines = chat('s1');
  const whole = read(lines).events;
  for (let cut = 0; cut <= lines.length; cut += 1) {
    const first = read(lines.slice(0, cut));
    const kept = JSON.parse(JSON.stringify(first.reader.state)) as ReaderState;
    expect([...first.events, ...read(lines.slice(cut), own, kept).events]).toEqual(whole);
  }
});

it('gives prompts and tools the ids that hooks give them', () => {
  const { events } = read(chat('s1'));
  const pairs = new ToolPairs();
  let index = 0;
  const hook = (name: string, fields: Line): string | undefined => {
    index += 1;
    const payload = { session_id: 's1', hook_event_name: name, cwd: '/home/u/shop', ...fields };
    const at = `${1_790_000_000_000 + index * 1_000}000000`;
    const record = { id: `r${index}`, at, cli: 'gemini', payload, bytes: 0 };
    const [event] = eventsOfRecord(record, pairs) ?? [];
    return event && 'toolUse' in event ? event.toolUse : event?.turn;
  };
  const told = only(events, 'prompt').map(({ text }) => hook('BeforeAgent', { prompt: text }));
  expect(told).toEqual(only(events, 'prompt').map(({ turn }) => turn));
  const calls = new Map(only(events, 'tool_started').map((call) => [call.toolUse, call]));
  const started = [...calls.values()].map(({ tool, input }) =>
    hook('BeforeTool', { tool_name: tool, tool_input: input }),
  );
  expect(started).toEqual([...calls.keys()]);
});

it('puts a subagent into the session whose folder it is in', () => {
  const agent = gemini.describe(`${chats}/s1/investigator-1.jsonl`);
  expect(agent).toMatchObject({ session: 's1', subagent: 'investigator-1' });
  const { events } = read(
    [{ ...header('investigator-1'), kind: 'subagent' }, ...chat('s1').slice(1)],
    agent,
  );
  expect(only(events, 'prompt')).toEqual([]);
  expect(only(events, 'subagent_started')).toHaveLength(1);
  expect(new Set(events.map(({ session }) => session))).toEqual(new Set(['s1']));
  expect(only(events, 'model_call')[0]?.subagent).toBe('investigator-1');
});

it('takes the file of lines that a chat was moved to, and finds its project', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'chats-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const at = path.join(folder, 'shop', 'chats', 'session-1.json');
  await mkdir(path.dirname(at), { recursive: true });
  await writeFile(path.join(folder, 'shop', '.project_root'), '/home/u/shop\n');
  await writeFile(at, '{}');
  expect(gemini.describe(at)).toMatchObject({ isWhole: true });
  const file = { path: at };
  expect(only(read(chat('s1'), file).events, 'prompt')[0]?.place?.cwd).toBe('/home/u/shop');
  await writeFile(`${at}l`, '');
  expect(gemini.describe(at)).toBeUndefined();
  expect(gemini.describe(`${at}l`)).toMatchObject({ isWhole: false });
  expect(gemini.describe(path.join(folder, 'shop', 'logs.json'))).toBeUndefined();
});

it('counts lines that it does not know, and goes on', () => {
  const reader = gemini.open(own, undefined);
  const strange = ['nonsense', '[]', '{}', '{"id":"x"}', '{"id":"x","type":"new","timestamp":"?"}'];
  expect(strange.map((line) => reader.read(Buffer.from(line)))).toEqual(
    strange.map(() => undefined),
  );
});
