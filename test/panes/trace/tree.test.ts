import { describe, expect, it, test } from 'vitest';
import type { TraceEvent } from '../../../src/panes/trace/event.js';
import { isEarly, timesOf, type TraceTree } from '../../../src/panes/trace/tree.js';
import { eventMade, treeMade, treeOf, type Made } from './events.js';

const own = (tree: TraceTree) =>
  Object.fromEntries(tree.nodes.map(({ event, ownMs }) => [event.name, ownMs]));

const names = (tree: TraceTree) => tree.nodes.map(({ event, depth }) => `${depth} ${event.name}`);

describe('the tree of a trace', () => {
  it('has each event before those below it, in the order of their start', () => {
    const tree = treeOf(
      ['root', null, 0, 100],
      ['a', 'root', 10, 20],
      ['b', 'root', 20, 70],
      ['a1', 'a', 25, 5],
      ['b1', 'b', 30, 5],
    );
    expect(names(tree)).toEqual(['0 root', '1 a', '2 a1', '1 b', '2 b1']);
    expect(tree.nodes.map(({ below }) => below)).toEqual([4, 1, 0, 1, 0]);
    expect(tree.nodes.map(({ isLast }) => isLast)).toEqual([true, false, true, true, true]);
  });

  it('counts failures, also those below, and keeps events whose parent is not there', () => {
    const tree = treeMade([
      eventMade(['root', null, 0, 10]),
      eventMade(['a', 'root', 1, 2]),
      eventMade(['hook', 'a', 1, 1], { kind: 'hook', outcome: 'failed' }),
      eventMade(['lost', 'nobody', 5, 1], { outcome: 'failed' }),
    ]);
    expect(tree.failures).toBe(2);
    expect(tree.byKey.get('root')?.failuresBelow).toBe(1);
    expect(names(tree)).toEqual(['0 root', '1 a', '2 hook', '0 lost']);
  });

  it('shows every event of a circle of parents once, and what hangs below it', () => {
    const tree = treeOf(
      ['below', 'a', 0, 1],
      ['a', 'c', 1, 10],
      ['b', 'a', 2, 10],
      ['c', 'b', 3, 10],
      ['self', 'self', 4, 1],
      ['d', 'e', 5, 1],
      ['e', 'd', 6, 1],
    );
    expect(names(tree)).toEqual(['0 a', '1 below', '1 b', '2 c', '0 self', '0 d', '1 e']);
    expect(tree.roots.map(({ below }) => below)).toEqual([3, 0, 1]);
  });

  it('ends what still runs now', () => {
    const events = [eventMade(['root', null, 0, null], { outcome: 'running' })];
    expect(treeMade(events, 500).totalMs).toBe(500);
  });

  it('holds a chain of 10,000 events, each below the other', () => {
    const chain = Array.from({ length: 10_000 }, (_, n) =>
      eventMade([`e${n}`, n === 0 ? null : `e${n - 1}`, n, 20_000 - 2 * n]),
    );
    const tree = treeMade(chain);
    expect(tree.nodes.at(-1)?.depth).toBe(9_999);
    expect(tree.nodes.reduce((sum, { ownMs }) => sum + ownMs, 0)).toBe(20_000);
  });
});

describe('the time that the whole waited for an event', () => {
  it('is what none of its children took; all together are the whole', () => {
    const tree = treeOf(
      ['root', null, 0, 100],
      ['a', 'root', 10, 30],
      ['b', 'root', 50, 40],
      ['b1', 'b', 60, 20],
    );
    expect(own(tree)).toEqual({ root: 30, a: 30, b: 20, b1: 20 });
    expect(tree.byKey.get('root')?.ownSpans).toEqual([
      [0, 10],
      [40, 50],
      [90, 100],
    ]);
  });

  it('is none for an event beside one that ended later', () => {
    const tree = treeOf(
      ['root', null, 0, 100],
      ['long', 'root', 0, 100],
      ['short', 'root', 10, 50],
    );
    expect(own(tree)).toEqual({ root: 0, long: 100, short: 0 });
  });

  it('goes to the one that ended last where two overlap', () => {
    const tree = treeOf(['root', null, 0, 100], ['a', 'root', 0, 60], ['b', 'root', 40, 60]);
    expect(own(tree)).toEqual({ root: 0, a: 40, b: 60 });
  });

  it('reaches what goes on after its parent, and what starts before it by another clock', () => {
    const tree = treeOf(['root', null, 50, 50], ['early', 'root', 0, 70], ['late', 'root', 90, 60]);
    expect(own(tree)).toEqual({ root: 20, early: 70, late: 60 });
    expect(tree.totalMs).toBe(150);
    expect(tree.nodes.filter(isEarly).map(({ event }) => event.name)).toEqual(['early']);
    expect(tree.early).toBe(1);
  });

  it('does not count a gap in which nothing ran', () => {
    const tree = treeOf(['one', null, 0, 10], ['two', null, 90, 10]);
    expect(own(tree)).toEqual({ one: 10, two: 10 });
  });
});

test('the time of an agent goes to thinking, tools, hooks and the user; other traces have no such time', () => {
  const made = (kind: 'hook' | 'endpoint_call', one: Made, details: TraceEvent['details'] = {}) =>
    eventMade(one, { kind, details });
  const hooks = [
    made('hook', ['bash', 'turn', 10, 20], { type: 'ToolUse', tool: 'Bash' }),
    made('hook', ['gate', 'turn', 30, 5], { type: 'PreToolUse', tool: 'Edit' }),
    made('hook', ['question', 'turn', 40, 30], { type: 'ToolUse', tool: 'AskUserQuestion' }),
  ];
  const call = ['call', 'turn', 70, 20] satisfies Made;
  const turn = eventMade(['turn', null, 0, 100]);
  const agent = treeMade([turn, ...hooks, made('endpoint_call', call, { model: 'm' })]);
  expect(timesOf(agent)).toEqual({
    ...{ thinking: 45, tools: 20, hooks: 5, user: 30, subagents: 0, others: 0, unknown: 0 },
  });
  expect(timesOf(treeMade([turn, ...hooks, made('endpoint_call', call)]))).toBeUndefined();
  // What subagents do is waited for, also by the tool that starts them; a gap is said: all parts are the whole.
  const parted = treeMade([
    eventMade(['turn', null, 0, 60]),
    made('hook', ['task', 'turn', 10, 20], { type: 'ToolUse', tool: 'Task' }),
    eventMade(['sub', 'turn', 12, 28]),
    made('hook', ['deep', 'sub', 15, 10], { type: 'ToolUse', tool: 'Bash' }),
    made('endpoint_call', ['call', 'turn', 50, 10], { model: 'm' }),
    made('hook', ['late', 'turn', 80, 20], { type: 'ToolUse', tool: 'Bash' }),
  ]);
  const times = timesOf(parted);
  expect(times).toMatchObject({ thinking: 30, tools: 20, subagents: 30, unknown: 20 });
  expect(Object.values(times ?? {}).reduce((sum, ms) => sum + ms, 0)).toBe(parted.totalMs);
});
