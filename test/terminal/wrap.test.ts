import { expect, it } from 'vitest';
import { wrapWithin } from '../../src/terminal/width.js';

it('ends the last line with a sign where there is more, and only there', () => {
  expect(wrapWithin('one two three', 5, 3)).toEqual(['one', 'two', 'three']);
  expect(wrapWithin('one two three', 5, 2)).toEqual(['one', 'two…']);
  expect(wrapWithin('abcdefgh', 4, 1)).toEqual(['abc…']);
  expect(wrapWithin('first\nsecond', 10, 1)).toEqual(['first…']);
  expect(wrapWithin('anything', 4, 0)).toEqual([]);
});
