import { describe, expect, test } from 'vitest';
import {
  isCorrection,
  isRepeat,
  judge,
  judgeByNext,
  type Turn,
} from '../../../src/learning/learner/tree.js';
import {
  absorb,
  addTurn,
  durationQuantile,
  newPattern,
  type PatternState,
} from '../../../src/learning/learner/pattern-state.js';

const step = (command: string, isFailed: boolean) => ({ name: 'Bash', command, isFailed });

describe('a turn by itself', () => {
  test('is good when it completed, and says why it is not', () => {
    const turn = { status: 'completed', isEndKnown: true, success: true, tools: [] };
    expect(judge(turn)).toEqual({ isGood: true, by: 'completed' });
    expect(judge({ ...turn, status: 'cancelled' }).by).toBe('interrupted');
    expect(judge({ ...turn, status: 'timeout' }).by).toBe('timeout');
    expect(judge({ ...turn, status: 'failed' }).by).toBe('failed');
    expect(judge({ ...turn, success: false }).by).toBe('reported');
    expect(judge({ ...turn, status: 'cancelled', isEndKnown: false }).by).toBe('unknown');
  });

  test('is not good when its last test run failed', () => {
    const turn = { status: 'completed', isEndKnown: true, success: true };
    const tools = [step('npm test', true), step('git status', false)];
    expect(judge({ ...turn, tools }).by).toBe('tests_failed');
    expect(judge({ ...turn, tools: [...tools, step('npx vitest run a', false)] }).isGood).toBe(
      true,
    );
    expect(judge({ ...turn, tools: [step('cat latest.txt', true)] }).isGood).toBe(true);
  });
});

describe('the next prompt', () => {
  test.each([
    'no, the other file',
    'No.',
    "that's wrong",
    'still fails',
    "it doesn't work",
    'undo that',
    'Nope',
  ])('"%s" corrects', (prompt) => expect(isCorrection(prompt)).toBe(true));
  test.each([
    'no problem, go on',
    'Now add tests',
    'North of it',
    'No need for tests',
    'Stop the server when done',
  ])('"%s" does not', (prompt) => expect(isCorrection(prompt)).toBe(false));

  test('that is the same asks again; about another file it does not', () => {
    expect(isRepeat('Fix the login test please', 'fix the login test  please')).toBe(true);
    expect(isRepeat('Split src/a.ts into two', 'Split src/b.ts into two')).toBe(false);
    expect(isRepeat('go on', 'go on')).toBe(false);
  });

  test('says something only soon after', () => {
    const before = { prompt: 'Fix the login test please', endedAt: 0 };
    expect(judgeByNext(before, { prompt: 'no, revert', startedAt: 60_000 })?.by).toBe('corrected');
    expect(judgeByNext(before, { prompt: before.prompt, startedAt: 60_000 })?.by).toBe('repeated');
    expect(judgeByNext(before, { prompt: 'no, revert', startedAt: 3_600_000 })).toBeUndefined();
  });
});

describe('how long the good turns of a pattern take', () => {
  const turn = (durationMs: number): Turn => ({
    correlationId: 'c',
    traceId: 't',
    sessionId: 's',
    prompt: 'Count the sheep',
    intent: null,
    status: 'completed',
    isEndKnown: true,
    success: true,
    startedAt: 0,
    endedAt: durationMs,
    durationMs,
    costUsd: null,
    agent: 'shepherd',
    strategy: null,
    agents: ['shepherd'],
    depth: 0,
    overheadMs: 0,
    tools: [],
    hooks: [],
    services: new Map(),
    errors: [],
  });
  const patternOf = (durations: readonly number[]) => {
    const state = newPattern('group', turn(0));
    for (const durationMs of durations) addTurn(state, turn(durationMs), true, false);
    return state;
  };

  test('is exact of few: of an even number the middle between two', () => {
    expect(durationQuantile(patternOf([8_000, 13_000]), 0.5)).toBe(10_500);
    expect(durationQuantile(patternOf([10_500]), 0.5)).toBe(10_500);
    expect(durationQuantile(patternOf([1, 10_500, 3_600_000]), 0.5)).toBe(10_500);
    expect(durationQuantile(patternOf([0, 0, 0]), 0.9)).toBe(0);
    expect(durationQuantile(patternOf([]), 0.5)).toBeNull();
  });

  test('is off by 4.4 % at most of many, also after a merge and after the database kept it', () => {
    // From a tenth of a second to an hour, in no order.
    const durations = Array.from(
      { length: 3_001 },
      (_, n) => 100 * 36e3 ** (((n * 7) % 3_001) / 3_000),
    );
    const exact = (share: number) => {
      const sorted = durations.toSorted((one, other) => one - other);
      return sorted[share * 3_000] ?? 0;
    };
    const merged = patternOf(durations.slice(0, 1_000));
    absorb(merged, JSON.parse(JSON.stringify(patternOf(durations.slice(1_000)))) as PatternState);
    for (const state of [patternOf(durations), merged]) {
      for (const share of [0.1, 0.5, 0.9]) {
        const found = durationQuantile(state, share) ?? 0;
        expect(Math.abs(found / exact(share) - 1)).toBeLessThan(2 ** (1 / 16) - 1);
      }
    }
  });

  test('of what an older version learned stays as near as it was kept', () => {
    const { durations, ...rest } = patternOf([]);
    expect(durations).toEqual([]);
    const state: PatternState = { ...rest, histogram: [[26, 3]] };
    expect(durationQuantile(state, 0.5)).toBe(8_192);
    addTurn(state, turn(20_000), true, false);
    expect(durationQuantile(state, 1)).toBe(20_000);
    expect(state.histogram).toBeUndefined();
  });
});
