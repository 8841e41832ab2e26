import { describe, expect, it } from 'vitest';
import {
  findMatches,
  firstMatchFrom,
  mostMatches,
  nextMatch,
} from '../../../src/ui/model/search.js';

describe('searching lines', () => {
  it('finds a text wherever it stands, whatever its case, and takes its signs as they are', () => {
    const lines = ['Exit code 2', 'no', 'İ: exit CODE, exit.code', 'a+b (c) [d] \\w'];
    expect(findMatches(lines, 'exit code')).toEqual([
      { line: 0, start: 0, end: 9 },
      { line: 2, start: 3, end: 12 },
    ]);
    expect(findMatches(lines, '.')).toEqual([{ line: 2, start: 18, end: 19 }]);
    expect(findMatches(lines, 'a+B (c) [d] \\W')).toHaveLength(1);
    expect(findMatches(lines, '')).toEqual([]);
    expect(findMatches(lines, '-')).toEqual([]);
  });

  it('finds a line once where a step leads to another line', () => {
    expect(findMatches(['aa', 'b', 'a'], 'a', { linesOnly: true })).toHaveLength(2);
  });

  it('stops at as many as anybody steps through', () => {
    expect(findMatches(['a'.repeat(3 * mostMatches)], 'a')).toHaveLength(mostMatches);
  });

  it('leads on and back round the ends, from what is in view', () => {
    const matches = findMatches(['x', '', 'x', '', '', '', 'x'], 'x');
    const all = { top: 0, height: 7 };
    expect(nextMatch(matches, 0, 1, all)).toBe(1);
    expect(nextMatch(matches, 2, 1, all)).toBe(0);
    expect(nextMatch(matches, 0, -1, all)).toBe(2);
    expect(nextMatch(matches, 0, 1, { top: 4, height: 2 })).toBe(2);
    expect(nextMatch(matches, 2, -1, { top: 1, height: 2 })).toBe(0);
    expect(firstMatchFrom(matches, 1)).toBe(1);
    expect(firstMatchFrom(matches, 7)).toBe(0);
  });
});
