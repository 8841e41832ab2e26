import { expect, test } from 'vitest';
import type { AgentEvent, EventBase } from '../../../src/ingest/events.js';
import { Prices } from '../../../src/ingest/prices.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import type { SummaryLine } from '../../../src/panes/contract/column.js';
import { sessions } from '../../../src/panes/sessions.js';
import { displayWidth } from '../../../src/terminal/width.js';
import { layOutRecord } from '../../../src/ui/draw/record.js';
import { initialFolds } from '../../../src/ui/model/record-tree.js';
import { createTestDatabase } from '../../helpers/database.js';
import { detailAccess, openDatabase, readFresh } from '../open.js';

const now = Date.now();

/** Events of one session, a second apart, the last one so long ago. */
function story(turn: string, agoMs: number, ...events: Partial<AgentEvent>[]): AgentEvent[] {
  const begin = now - agoMs - (events.length - 1) * 1_000;
  const base = {
    ...{ source: 'hook', agent: 'claude-code', session: 'long', turn },
    place: { cwd: '/home/me/long', model: 'claude-sonnet-4-5' },
  } satisfies Omit<EventBase, 'at'>;
  return events.map((event, at) => ({ ...base, at: begin + at * 1_000, ...event })) as AgentEvent[];
}

const prompt = (text: string) => ({ kind: 'prompt', text }) as const;
const tool = (toolUse: string, name: string, input: unknown) =>
  ({ kind: 'tool_started', toolUse, tool: name, input }) as const;
const toolEnd = (toolUse: string, outcome: 'completed' | 'failed' = 'completed') =>
  ({ kind: 'tool_ended', toolUse, outcome }) as const;
const call = {
  kind: 'model_call',
  ...{ message: 'm1', provider: 'anthropic', model: 'claude-sonnet-4-5' },
  usage: { input: 1_000, output: 500, cacheRead: 98_000, cacheCreation: 500, cacheCreation1h: 0 },
} as const;

test('an opened session is live: its lines say what they are of, with units and dates, and the cursor stays on its line', async () => {
  const console_ = await openDatabase((await createTestDatabase()).url);
  const day = 86_400_000;
  const events = [
    ...story('1', day, prompt('do it'), call, { kind: 'turn_ended' }),
    ...story(
      '2',
      60_000,
      prompt('and then'),
      tool('t1', 'Bash', { command: 'make' }),
      toolEnd('t1'),
      tool('t2', 'Read', { file_path: '/a' }),
      toolEnd('t2', 'failed'),
      { kind: 'note', event: 'Notification', id: 'n' },
    ),
  ];
  const recorder = new Recorder(console_, { prices: new Prices() });
  await recorder.record(events);
  const { rows } = await readFresh(console_, sessions, { windowMs: 2 * day });
  const row = rows.find(({ session }) => session === 'long');
  const access = await detailAccess(console_);
  const opening = row && sessions.detail?.(row, access.shape, 2 * day);
  if (!opening || !('read' in opening)) throw new Error('a session opens');
  const read = async () => {
    const opened = await opening.read(access);
    if (opened.kind !== 'records') throw new Error(`a session opens as ${opened.kind}`);
    return opened;
  };
  const opened = await read();
  expect(opened.isLive).toBe(true);
  const of = (title: RegExp) => opened.sections?.find((section) => title.test(section.title));
  const textOf = (line: SummaryLine | undefined) => line?.map(({ text }) => text).join('  ') ?? '';
  const clocks = of(/Prompts/)?.lines.map((line) => line[0]?.text.trim() ?? '') ?? [];
  expect(clocks.map((clock) => /^\d\d-\d\d /.test(clock))[0]).toBe(true);
  expect(textOf(of(/Prompts/)?.lines[0])).toContain('100k tokens');
  expect(textOf(of(/Models/)?.lines[0])).toMatch(/1 call .*99,500 tokens in .*500 tokens out .*\$/);
  // Nobody told how long a notification took.
  expect(of(/Hooks/)?.title).toContain('–');
  expect(textOf(of(/Hooks/)?.lines[0])).toMatch(/–/);
  expect(textOf(of(/Hooks/)?.lines[0])).not.toContain('0ms');
  // Enter on a tool leads to its trace, at its failure.
  const at = of(/Tools/)?.lines.findIndex((line) => textOf(line).startsWith('Read')) ?? -1;
  const trace = await of(/Tools/)?.open?.(at)?.read(access);
  if (trace?.kind !== 'trace') throw new Error('a tool leads to its trace');
  expect(trace.tree.byKey.get(trace.select ?? '')?.event).toMatchObject({
    outcome: 'failed',
    details: { tool: 'Read' },
  });
  // At 80 columns all that matters is there; what is cut has a sign.
  const lay = (content: typeof opened) =>
    layOutRecord({ rows: content.rows, sections: content.sections ?? [], folds: initialFolds }, 76);
  const layout = lay(opened);
  layout.grow(40);
  const model = layout.texts.find((line) => line.includes('tokens in'));
  expect(model).toMatch(/claude-sonnet-4-5 .*\$0\.\d+/);
  for (const line of layout.texts) expect(displayWidth(line)).toBeLessThanOrEqual(76);
  const free = layout.choosable(0, 0);
  expect([layout.texts[0], free]).toEqual(['Prompts, oldest first', 1]);
  expect(layout.choosable(3, 2)).toBe(5);
  // A new prompt above it moves the line of a tool; the cursor goes with it.
  const place = layout.placeOf(layout.texts.findIndex((line) => line.startsWith('Bash')));
  await recorder.record(story('3', 0, prompt('more')));
  const later = lay(await read());
  later.grow(40);
  expect(later.texts[later.find(place) ?? -1]).toMatch(/^Bash/);
  expect(later.find(place)).toBe(
    layout.find(place) === undefined ? -1 : (layout.find(place) ?? 0) + 1,
  );
});

test('sessions before the window are counted, and shown by the other choice of rows', async () => {
  const console_ = await openDatabase((await createTestDatabase()).url);
  const old = story('1', 3 * 86_400_000, prompt('long ago')).map((event) => ({
    ...event,
    session: 'old',
  }));
  await new Recorder(console_).record([...old, ...story('2', 1_000, prompt('now'))]);
  const read = async (variant: string) => {
    const result = await readFresh(console_, sessions, { variant });
    const { rows, extras } = result;
    return [rows.map(({ session }) => session).sort(), extras.before, sessions.leadsOn?.(result)];
  };
  expect(await read('window')).toEqual([['long'], 1, ':group shows all sessions']);
  expect(await read('all')).toEqual([['long', 'old'], undefined, undefined]);
});
