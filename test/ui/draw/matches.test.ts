import { expect, it } from 'vitest';
import { drawMatches } from '../../../src/ui/model/search.js';
import { looksOf, textOf } from '../helpers.js';

it('marks what was found across spans, and the match that the reader is at', () => {
  const line = [{ text: 'name  ', look: 'muted' as const }, { text: 'a name' }];
  const first = { line: 0, start: 3, end: 7 };
  const second = { line: 0, start: 8, end: 12 };
  const drawn = drawMatches(line, 15, { matches: [first, second], current: second });
  expect(looksOf(drawn)).toEqual([
    ['muted', 'nam'],
    ['match', 'e  '],
    ['match', 'a'],
    ['selected', 'name'],
  ]);
  expect(textOf(drawn)).toBe('name  a name   ');
});

it('reverses the whole line under the cursor', () => {
  const drawn = drawMatches([{ text: 'a', look: 'error' }, { text: ' b' }], 5, { isChosen: true });
  expect(looksOf(drawn)).toEqual([['selected', 'a b  ']]);
});
