import { describe, expect, test } from 'vitest';
import { isCorrection, isRepeat, judge, judgeByNext } from '../../../src/learning/learner/tree.js';

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
