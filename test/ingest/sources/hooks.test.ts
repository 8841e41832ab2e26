import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import { agentIds, type AgentId } from '../../../src/ingest/install/agent.js';
import { agents } from '../../../src/ingest/install/registry.js';
import { eventsOfRecord } from '../../../src/ingest/collector/write-records.js';
import { ToolPairs } from '../../../src/ingest/sources/hook-payload.js';
import type { SpoolRecord } from '../../../src/ingest/spool/frame.js';
import { gemini as geminiChats } from '../../../src/ingest/sources/gemini.js';
import { header, user } from './chats.js';
import { hookSession, type HookCall } from './payloads.js';

const startMs = 1_790_000_000_000;

function recordOf(cli: string, { event, payload }: HookCall, index = 0): SpoolRecord {
  return {
    id: `record-${index}`,
    at: `${startMs + index * 100}000000`,
    cli,
    ...(event === undefined ? {} : { event }),
    payload,
    bytes: 0,
  };
}

function eventsOf(cli: AgentId, calls = hookSession(cli, 's1', startMs), pairs = new ToolPairs()) {
  return calls.flatMap((call, index) => {
    const events = eventsOfRecord(recordOf(cli, call, index), pairs);
    if (events === undefined) throw new Error(`unknown: ${JSON.stringify(call)}`);
    return events;
  });
}

const ofKind = <Kind extends AgentEvent['kind']>(events: readonly AgentEvent[], kind: Kind) =>
  events.filter((event): event is Extract<AgentEvent, { kind: Kind }> => event.kind === kind);

/** Each call of a tool with its ends, in words. */
function toolCalls(events: readonly AgentEvent[]): string[] {
  const ids = [...new Set(ofKind(events, 'tool_started').map(({ toolUse }) => toolUse))];
  return ids.map((id) => {
    const ends = ofKind(events, 'tool_ended').filter(({ toolUse }) => toolUse === id);
    return [ends.map(({ outcome }) => outcome).join('+'), ends[0]?.exitCode]
      .filter((x) => x !== undefined)
      .join(' ');
  });
}

describe.each(agentIds)('the hooks of %s', (cli) => {
  it('are understood, each event that is registered', () => {
    expect(() => eventsOf(cli)).not.toThrow();
    const agent = agents.find(({ id }) => id === cli);
    if (agent?.kind !== 'settings') return;
    const sent = hookSession(cli, 's').map(
      ({ event, payload }) => event ?? payload.hook_event_name,
    );
    expect(new Set(sent)).toEqual(new Set(agent.events));
  });

  it('begin and end a session and its turn', () => {
    const events = eventsOf(cli);
    expect(new Set(events.map(({ session }) => session))).toEqual(new Set(['s1']));
    expect(ofKind(events, 'session_started')).toHaveLength(1);
    expect(ofKind(events, 'session_ended')).toHaveLength(1);
    const [prompt] = ofKind(events, 'prompt');
    expect(prompt?.text).toMatch(/List the files|Make the tests pass/);
    expect(prompt?.turn).toBeDefined();
    expect(prompt?.place?.cwd).toBe('/home/u/app');
    expect(ofKind(events, 'turn_ended').length).toBeGreaterThan(0);
  });

  it('are the same events when they come twice', () => {
    const pairs = new ToolPairs();
    const calls = hookSession(cli, 's1', startMs);
    const once = eventsOf(cli, calls, pairs);
    expect(eventsOf(cli, calls, pairs)).toEqual(once);
    expect(eventsOf(cli, calls, new ToolPairs())).toEqual(once);
  });

  it('say nothing of payloads that are something else', () => {
    const strange: unknown[] = [
      {},
      { session_id: 1 },
      { session_id: 's', hook_event_name: 'FromTheFuture' },
      [],
      'text',
      null,
    ];
    for (const payload of strange) {
      const record = { ...recordOf(cli, { payload: {} }), payload };
      expect(eventsOfRecord(record, new ToolPairs())).toBeUndefined();
    }
  });
});

describe('tool calls', () => {
  it.each<[AgentId, string[]]>([
    ['claude', ['failed 1', 'completed', 'denied', 'completed', 'completed', 'cancelled']],
    ['codex', ['completed 0', 'failed 2']],
    ['gemini', ['completed', 'failed']],
    ['cursor', ['completed', 'failed 3']],
    ['copilot', ['completed', 'failed']],
    ['opencode', ['completed 0']],
  ])('of %s end once, each for its own reason', (cli, ends) => {
    expect(toolCalls(eventsOf(cli))).toEqual(ends);
  });

  it('without ids are paired in order, also over batches and where an end comes first', () => {
    const [, , before, after, second, failed] = hookSession('gemini', 's1', startMs);
    if (!before || !after || !second || !failed) throw new Error('the session has two calls');
    const first = new ToolPairs();
    const ids = (calls: HookCall[], pairs: ToolPairs) =>
      eventsOf('gemini', calls, pairs).map((event) => 'toolUse' in event && event.toolUse);
    const [a, b] = ids([before, second], first);
    const reloaded = new ToolPairs(JSON.parse(JSON.stringify(first.stored())) as []);
    expect(ids([after, failed], reloaded)).toEqual([a, b]);
    expect(ids([after, before], new ToolPairs())).toEqual([a, a]);
    expect(a).not.toBe(b);
  });
});

describe('what is alike and has no id', () => {
  const gemini = (name: string, index: number, fields: object): HookCall => {
    const timestamp = new Date(startMs + index * 1_000).toISOString();
    return { payload: { session_id: 's1', hook_event_name: name, timestamp, ...fields } };
  };
  const turnsOf = (calls: HookCall[], pairs: ToolPairs) =>
    ofKind(eventsOf('gemini', calls, pairs), 'prompt').map(({ turn }) => turn);

  it('is told apart: a prompt that is given again, also after the session was resumed', () => {
    const asked = (index: number) => gemini('BeforeAgent', index, { prompt: 'go on' });
    const pairs = new ToolPairs();
    const turns = [
      ...turnsOf([asked(1), asked(2), gemini('SessionEnd', 3, { reason: 'exit' })], pairs),
      ...turnsOf([gemini('SessionStart', 4, { source: 'resume' }), asked(5)], pairs),
    ];
    expect(new Set(turns).size).toBe(3);
    // The chat is one file, which counts on.
    const said = (index: number) => user(`u${index}`, 'go on');
    const reader = geminiChats.open({ path: '/chats/session-1.jsonl' }, undefined);
    const lines = [header('s1'), said(1), said(2), said(3)];
    const told = lines.flatMap((line) => reader.read(Buffer.from(JSON.stringify(line))) ?? []);
    expect(ofKind(told, 'prompt').map(({ turn }) => turn)).toEqual(turns);
  });

  it('is told apart however often it comes, and what is kept of it does not grow', () => {
    let pairs = new ToolPairs();
    const turns = Array.from({ length: 500 }, (_, index) => {
      pairs = new ToolPairs(JSON.parse(JSON.stringify(pairs.stored())) as []);
      return turnsOf([gemini('BeforeAgent', index, { prompt: 'go on' })], pairs);
    }).flat();
    expect(new Set(turns).size).toBe(500);
    expect(JSON.stringify(pairs.stored()).length).toBeLessThan(1_000);
    for (let index = 0; index < 400; index += 1) {
      for (let call = 0; call < 20; call += 1) pairs.startOf(`s${index}`, 'ls', { call }, index);
    }
    expect(pairs.stored().length).toBeLessThan(300);
    expect(pairs.stored().at(-1)?.[0]).toBe('s399');
  });
});

describe('odd numbers', () => {
  it('become what a column holds', () => {
    const tokens = { input: 1.5, output: -3, reasoning: 1e300, cache: { read: 'many' } };
    const info = {
      id: 'm',
      sessionID: 's',
      role: 'assistant',
      tokens,
      time: { completed: startMs },
    };
    const [call] = eventsOf('opencode', [{ event: 'message.updated', payload: { info } }]);
    expect(call).toMatchObject({
      usage: { input: 2, output: Number.MAX_SAFE_INTEGER, cacheRead: 0, cacheCreation: 0 },
    });
  });
});

describe('what is nobody else’s business', () => {
  it('is left out: the address of a user of Cursor', () => {
    expect(JSON.stringify(eventsOf('cursor'))).not.toContain('somebody@example.com');
  });
});
