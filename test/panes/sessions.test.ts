import { beforeEach, expect, test } from 'vitest';
import { AlertWatch } from '../../src/live/alerts/alert-watch.js';
import { LiveEngine } from '../../src/live/engine.js';
import type { AgentEvent, EventBase } from '../../src/ingest/events.js';
import { Prices } from '../../src/ingest/prices.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { stateOf, type SeenSession } from '../../src/panes/reading/agent-sessions.js';
import { paneById } from '../../src/panes/registry.js';
import { sessions } from '../../src/panes/sessions.js';
import { rowsInView } from '../../src/ui/model/pane-view.js';
import { placeColumns } from '../../src/ui/draw/table.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh } from './open.js';

const minute = 60_000;
/** Anew for each test: how long a session waits is counted from it. */
let now = Date.now();
beforeEach(() => {
  now = Date.now();
});

/** What happened in a session: kinds and fields of events, a second apart, the last one so long ago. */
function story(session: string, agoMs: number, ...events: Partial<AgentEvent>[]): AgentEvent[] {
  const begin = now - agoMs - (events.length - 1) * 1_000;
  return events.map((event, index) => ({
    ...({
      source: 'hook',
      agent: 'claude-code',
      session,
      turn: `${session}-1`,
      at: begin + index * 1_000,
      place: { cwd: `/home/me/${session}`, gitBranch: 'main', model: 'claude-sonnet-4-5' },
    } satisfies EventBase),
    ...event,
  })) as AgentEvent[];
}

const prompt = { kind: 'prompt', text: 'do it' } as const;
const tool = (toolUse: string, name = 'Bash', input: unknown = { command: 'ls' }) =>
  ({ kind: 'tool_started', toolUse, tool: name, input }) as const;
const toolEnd = (toolUse: string, outcome: 'completed' | 'failed' = 'completed') =>
  ({ kind: 'tool_ended', toolUse, outcome }) as const;
const call = (message: string, usage: object) =>
  ({
    kind: 'model_call',
    message,
    provider: 'anthropic',
    model: 'claude-sonnet-4-5',
    usage,
  }) as const;
const usage = {
  input: 1_000,
  output: 500,
  cacheRead: 98_000,
  cacheCreation: 500,
  cacheCreation1h: 0,
};
const subagent = { kind: 'subagent_started', id: 'sub', type: 'Explore', prompt: 'look' } as const;

const stories = () => [
  ...story('asks', 2 * minute, prompt, tool('t1'), {
    kind: 'permission',
    decision: 'ask',
    toolUse: 't1',
    tool: 'Bash',
  }),
  ...story('done', 5 * minute, prompt, call('m1', usage), { kind: 'turn_ended' }),
  ...story(
    'runs',
    3_000,
    prompt,
    subagent,
    tool('t2'),
    toolEnd('t2', 'failed'),
    tool('t3', 'WebFetch'),
  ),
  ...story('thinks', 2_000, prompt, call('m2', usage)),
  ...story('stopped', 10_000, prompt, { kind: 'interrupted' }),
  ...story(
    'over',
    10_000,
    prompt,
    { kind: 'turn_ended' },
    { kind: 'session_ended', reason: 'exit' },
  ),
  ...story('quiet', 40 * minute, prompt, tool('t4')),
  // Their hooks were installed while they were at work.
  ...story('midway', 2_500, tool('t5')),
  ...story('between', 2_000, tool('t6'), toolEnd('t6')),
  ...story(
    'loops',
    1_000,
    prompt,
    ...['a', 'b', 'c', 'd'].flatMap((id) => [tool(id), toolEnd(id)]),
    tool('e'),
  ),
];

async function recorded() {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  await new Recorder(console_, { prices: new Prices() }).record(stories());
  return { database, console_ };
}

test('each session with what it does, who waits on top, and what it took', async () => {
  const { console_ } = await recorded();
  const { rows, extras } = await readFresh(console_, sessions);
  const doing = rows.map(({ session, state, tool: name }) => [session, `${state} ${name ?? ''}`]);
  expect(Object.fromEntries(doing)).toEqual({
    asks: 'permission Bash',
    done: 'user ',
    thinks: 'thinking ',
    runs: 'tool WebFetch',
    loops: 'tool Bash',
    stopped: 'interrupted ',
    quiet: 'idle ',
    over: 'ended ',
    midway: 'tool Bash',
    between: 'thinking ',
  });
  expect(rows.slice(0, 2).map(({ session }) => session)).toEqual(['asks', 'done']);
  expect(rows.at(-1)?.session).toBe('over');
  const of = (name: string) => rows.find(({ session }) => session === name);
  expect(of('runs')).toMatchObject({
    prompts: 1,
    tools: 2,
    failures: 1,
    subagents: 1,
    project: 'runs',
    branch: 'main',
  });
  // 100,000 of 200,000 tokens.
  expect(of('done')).toMatchObject({ contextShare: 0.5, tokens: 100_000, repeats: 0 });
  expect(of('done')?.costUsd).toBeGreaterThan(0);
  expect(of('asks')).toMatchObject({ contextShare: null, costUsd: null });
  expect(of('loops')?.repeats).toBe(5);
  expect(extras).toMatchObject({ shown: 10, waiting: 2, working: 5 });
  // Two of the same project and model are told apart by their ids and by what was asked last.
  const again = { ...prompt, turn: 'loops-2', text: `and then ${'x'.repeat(500)}` };
  await new Recorder(console_).record(story('loops', 0, again));
  const later = await readFresh(console_, sessions);
  const asked = new Map(later.rows.map((row) => [row.session, row.prompt]));
  expect(asked.get('runs')).toBe('do it');
  expect(asked.get('loops')).toMatch(/^and then x+…$/);
  expect(asked.get('loops')).toHaveLength(200);
  for (const width of [78, 118, 198]) {
    const shown = placeColumns(sessions.columns, width).map(({ column }) => column.id);
    expect(shown).toEqual(expect.arrayContaining(['doing', 'project', 'session', 'prompt']));
  }
  const byCost = rowsInView(
    paneById('sessions'),
    rows,
    { sort: 6, reversed: true, filter: '' },
    now,
  );
  expect(
    byCost
      .slice(0, 2)
      .map((row) => ('session' in row ? row.session : ''))
      .toSorted(),
  ).toEqual(['asks', 'done']);
});

test('Enter shows its prompts on one axis, each leading to its trace, and sums of tools and models', async () => {
  const { console_ } = await recorded();
  await new Recorder(console_, { prices: new Prices() }).record(
    story(
      'done',
      minute,
      { ...prompt, turn: 'done-2', text: 'and now this' },
      { ...tool('z'), turn: 'done-2' },
    ),
  );
  const { rows } = await readFresh(console_, sessions);
  const row = rows.find(({ session }) => session === 'done');
  const opened = row && (await openRow(console_, sessions, row));
  if (opened?.kind !== 'records') throw new Error('no records');
  const textOf = (title: string) =>
    opened.sections
      ?.find((section) => section.title.startsWith(title))
      ?.lines.map((line) => line.map(({ text }) => text).join(' ')) ?? [];
  expect(textOf('Prompts')).toEqual([
    expect.stringMatching(/completed.*100k.*\$0\.\d+ do it/),
    expect.stringMatching(/in_progress.*and now this/),
  ]);
  expect(textOf('Tools')).toEqual([expect.stringMatching(/Bash +1 call/)]);
  expect(textOf('Models')).toEqual([
    expect.stringMatching(/claude-sonnet-4-5 +1 call +99,500 tokens in +500 tokens out +\$0/),
  ]);
  const line = opened.sections?.[0]?.open?.(1);
  expect(line?.title).toMatch(/Trace/);
});

test('a service waits for nobody: its trace has ended, its conversation is idle, and what runs is at work', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const service = { source: 'telemetry', agent: 'shop', place: { project: 'shop' } } as const;
  const cli = { source: 'telemetry', agent: 'claude-code', place: undefined } as const;
  const turn = (session: string, told: object, ...rest: Partial<AgentEvent>[]) =>
    story(session, 6 * minute, ...[prompt, ...rest].map((event) => ({ ...event, ...told })));
  await new Recorder(console_).record([
    ...turn('trace:4f', service, call('m1', usage), { kind: 'turn_ended' }),
    ...turn('trace:50', service, call('m2', usage)),
    ...turn('conversation', service, call('m3', usage), { kind: 'turn_ended' }),
    ...turn('terminal', cli, call('m4', usage), { kind: 'turn_ended' }),
  ]);
  const { rows, extras } = await readFresh(console_, sessions);
  expect(Object.fromEntries(rows.map(({ session, state }) => [session, state]))).toEqual({
    'trace:4f': 'ended',
    'trace:50': 'thinking',
    conversation: 'idle',
    terminal: 'user',
  });
  expect(extras).toMatchObject({ waiting: 1, working: 1 });
});

test('a permission is waited for until something says that it was given, whatever else happens', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const recorder = new Recorder(console_);
  const input = { command: 'npm test' };
  const ask = { kind: 'permission', decision: 'ask', tool: 'Bash', input } as const;
  const asked = [prompt, tool('t1', 'Bash', input), ask];
  const notified = {
    kind: 'note',
    event: 'Notification',
    text: 'Claude needs your permission',
  } as const;
  const answers: Record<string, Partial<AgentEvent>[]> = {
    nobody: [notified],
    // A subagent works on beside it, and so does another tool of the same kind.
    others: [
      subagent,
      { ...tool('s1', 'Bash'), subagent: 'sub' },
      { ...toolEnd('s1'), tool: 'Bash', input: { command: 'ls' } },
      notified,
    ],
    telemetry: [{ kind: 'permission', decision: 'allow', toolUse: 't1', tool: 'Bash', by: 'user' }],
    output: [tool('t1', 'Bash', undefined)],
    end: [notified, { ...toolEnd('t1'), tool: 'Bash', input }],
    result: [toolEnd('t1')],
    interrupt: [{ kind: 'interrupted' }],
    next: [call('m9', usage)],
  };
  for (const [session, after] of Object.entries(answers)) {
    const events = story(session, 2_000, ...asked, ...after);
    await recorder.record(events.slice(0, 3));
    await recorder.record(events.slice(3));
  }
  const { rows } = await readFresh(console_, sessions);
  expect(
    Object.fromEntries(rows.map((row) => [row.session, `${row.state} ${row.tool ?? ''}`])),
  ).toEqual({
    nobody: 'permission Bash',
    others: 'permission Bash',
    telemetry: 'tool Bash',
    output: 'tool Bash',
    end: 'thinking ',
    result: 'thinking ',
    interrupt: 'interrupted ',
    next: 'thinking ',
  });
});

test('sessions that are older than the window are shown where it has none', async () => {
  const database = await createTestDatabase();
  const console_ = await openDatabase(database.url);
  const recorder = new Recorder(console_);
  await recorder.record(story('old', 90 * 1_440 * minute, prompt, call('m1', usage)));
  const { rows, notes } = await readFresh(console_, sessions);
  expect(rows).toMatchObject([{ session: 'old', state: 'idle', prompts: 1, tokens: 100_000 }]);
  expect(notes).toEqual(['none in this window: the latest ones before it']);
  await recorder.record(story('new', minute, prompt));
  const later = await readFresh(console_, sessions);
  expect(later.rows.map(({ session }) => session)).toEqual(['new']);
  expect(later.notes).toEqual([]);
});

test('a database that nothing was taken into says so', async () => {
  const database = await createTestDatabase();
  await database.query('DROP SCHEMA IF EXISTS trace_console CASCADE');
  const { rows, notes } = await readFresh(await openDatabase(database.url), sessions);
  expect(rows).toEqual([]);
  expect(notes).toEqual([expect.stringContaining('it has no table trace_console.agent_sessions')]);
});

test('what a session does, by its last sign of life', () => {
  const seen = (change: Partial<SeenSession>): SeenSession => ({
    ...{ session_id: 's', agent: 'a', session: 's', project: null, branch: null, model: null },
    ...{
      ended_ms: null,
      seen_ms: now - 1_000,
      kind: null,
      at_ms: now - 1_000,
      tool: null,
      message: null,
      asked_ms: null,
      asked_tool: null,
      is_service: false,
      now_ms: now,
    },
    ...change,
  });
  const state = (change: Partial<SeenSession>, open = 1, prompts = 1) =>
    stateOf(seen(change), { prompts, subagents: 0, open_traces: open }).state;
  expect(state({ kind: 'Notification', message: 'Claude needs your permission to use Bash' })).toBe(
    'permission',
  );
  expect(state({ kind: 'Notification', message: 'Claude is waiting for your input' })).toBe('user');
  expect(state({ kind: 'tool_started', tool: 'AskUserQuestion' })).toBe('user');
  expect(state({ kind: 'permission_allow', tool: 'Bash' })).toBe('tool');
  expect(state({ kind: 'PreCompact' })).toBe('compacting');
  expect(state({ kind: 'model_call' }, 0)).toBe('user');
  expect(state({ kind: 'model_call' }, 0, 0)).toBe('thinking');
  expect(stateOf(seen({ kind: 'tool_started' }), undefined).state).toBe('tool');
  expect(state({ kind: 'CwdChanged' }, 0, 0)).toBe('user');
  expect(state({ kind: 'metrics' }, 0)).toBe('idle');
  expect(state({ kind: 'model_call', seen_ms: now - 20 * minute })).toBe('idle');
  expect(state({ kind: 'tool_started', seen_ms: now - 20 * minute }, 0)).toBe('idle');
  expect(state({ kind: 'turn_ended', seen_ms: now - 20 * minute }, 0)).toBe('user');
  expect(state({ kind: 'turn_ended', seen_ms: now - 90 * minute }, 0)).toBe('idle');
});

test('alerts fire on a session that waits, on one that repeats itself, and on what an hour costs', async () => {
  const { console_ } = await recorded();
  const watch = new AlertWatch([
    { name: 'waits', pane: 'sessions', when: 'waits>4.5m' },
    { name: 'patient', pane: 'sessions', when: 'waits>10m' },
    { name: 'loops', pane: 'sessions', when: 'repeats>=5' },
    { name: 'spending', pane: 'usage', when: 'allPerHour>0.0001' },
    { name: 'frugal', pane: 'usage', when: 'allPerHour>1000' },
  ]);
  const engine = new LiveEngine(console_, { panes: [], watches: watch.watches });
  engine.start();
  try {
    await expect
      .poll(
        () => {
          watch.see(engine.getState(), now);
          return watch.state.active.map(({ rule, what }) => [rule, what.split(' ')[0]]).toSorted();
        },
        { timeout: 50_000 },
      )
      .toEqual([
        ['loops', 'Bash'],
        ['spending', 'claude-sonnet-4-5'],
        ['waits', 'waits'],
      ]);
  } finally {
    await engine.stop();
  }
});
