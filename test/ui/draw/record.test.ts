import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import type { RecordRow } from '../../../src/panes/opening.js';
import { recordLines } from '../../../src/ui/draw/record.js';
import { drawTextLine } from '../../../src/ui/draw/text-line.js';
import { plainTheme, textOf } from '../helpers.js';

function drawn(rows: readonly RecordRow[], width: number, unfolded: boolean): string[] {
  return recordLines(rows, width, unfolded).map((line) =>
    textOf(drawTextLine(plainTheme, line, width)),
  );
}

function lines(row: Record<string, unknown>, unfolded = false, width = 50): string[] {
  return drawn([row], width, unfolded).map((line) => line.trimEnd());
}

describe('a row in full', () => {
  it('has its names on the left and its values wrapped beside them', () => {
    const prompt = 'Write a test that fails when the index is missing, and say why.';
    expect(lines({ id: 7, prompt, agent: null })).toEqual([
      'id        7',
      'prompt    Write a test that fails when the index',
      '          is missing, and say why.',
      'agent     –',
    ]);
  });

  it('shows JSON one key a line, also where it was stored as text', () => {
    const expected = [
      'data      {',
      '            "a": [',
      '              1',
      '            ]',
      '          }',
    ];
    expect(lines({ data: { a: [1] } })).toEqual(expected);
    expect(lines({ data: '{"a":[1]}' })).toEqual(expected);
    expect(lines({ data: '{not json' })).toEqual(['data      {not json']);
  });

  it('folds long values until they are unfolded', () => {
    const text = Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\n');
    const folded = lines({ text });
    expect(folded).toHaveLength(9);
    expect(folded.at(-1)).toBe('          … 22 lines more');
    expect(lines({ text }, true)).toHaveLength(30);
  });

  it('says that there is more than it counted of a folded value that it did not read to its end', () => {
    const text = Array.from({ length: 5_000 }, (_, n) => `line ${n}`).join('\n');
    expect(lines({ text }, false, 200).at(-1)).toContain(' or more lines more');
    expect(lines({ text: 'x'.repeat(100_000) }, false, 200).at(-1)).toContain(
      ' or more lines more',
    );
  });

  it('takes control sequences out of names and values', () => {
    const safe = lines({
      'na\x1b[31mme': 'a\x1b]0;title\x07b\x9b2Jc',
      'json\x07': { k: '\x1b[2J' },
    });
    expect(safe.join('\n')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/); // eslint-disable-line no-control-regex
    expect(safe[0]).toBe('name      abc');
  });

  it('is exactly as wide as asked, with a megabyte and wide characters, too', () => {
    const text = `漢字 ${'word '.repeat(200_000)}`;
    for (const unfolded of [false, true]) {
      const widths = drawn([{ text }], 33, unfolded).map((line) => displayWidth(line));
      expect(new Set(widths)).toEqual(new Set([33]));
    }
  });

  it('parts several rows and says which of how many each is', () => {
    expect(drawn([{ id: 1 }, { id: 2 }], 20, false).map((line) => line.trim())).toEqual([
      '1 of 2',
      'id        1',
      '',
      '2 of 2',
      'id        2',
    ]);
  });
});
