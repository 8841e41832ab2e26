import { expect, it } from 'vitest';
import { drawTextLine } from '../../../src/ui/draw/text-line.js';
import type { Look } from '../../../src/ui/theme.js';
import { colourTheme, textOf } from '../helpers.js';

it('marks what was found across pieces, and the one that the reader is at', () => {
  const line = [{ text: 'name  ', look: 'muted' as const }, { text: 'a name' }];
  const first = { line: 0, start: 3, end: 7 };
  const second = { line: 0, start: 8, end: 12 };
  const drawn = drawTextLine(colourTheme, line, 15, { matches: [first, second], current: second });
  const paint = (look: Look, text: string) => colourTheme.paint(look, text);
  const found = [paint('match', 'e  '), paint('match', 'a'), paint('selected', 'name')];
  expect(drawn).toBe(`${paint('muted', 'nam')}${found[0]}${found[1]} ${found[2]}   `);
  expect(textOf(drawn)).toBe('name  a name   ');
});
