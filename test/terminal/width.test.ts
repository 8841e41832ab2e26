import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { safeLine } from '../../src/terminal/sanitise.js';
import {
  displayWidth,
  fit,
  takeColumns,
  truncate,
  truncateMiddle,
  wrapText,
} from '../../src/terminal/width.js';
import { untrustedText } from './untrusted-text.js';

const safeText = untrustedText.map((text) => safeLine(text));

describe('displayWidth', () => {
  it('counts columns, not code units', () => {
    expect(displayWidth('abc')).toBe(3);
    expect(displayWidth('漢字')).toBe(4);
    expect(displayWidth('🎉 ok')).toBe(5);
    expect(displayWidth('\u0065\u0301')).toBe(1);
    expect(displayWidth('│█⏎…')).toBe(4);
  });
});

describe('truncate', () => {
  it('leaves a text that fits', () => {
    expect(truncate('hook', 4)).toBe('hook');
    expect(truncate('漢字', 4)).toBe('漢字');
  });

  it('cuts with a visible sign and never halves a wide character', () => {
    expect(truncate('pre_tool_use', 6)).toBe('pre_t…');
    expect(truncate('漢字漢字', 4)).toBe('漢…');
    expect(truncate('漢字漢字', 5, '~')).toBe('漢字~');
    expect(truncate('abc', 1)).toBe('…');
    expect(truncate('abc', 0)).toBe('');
  });
});

describe('truncateMiddle', () => {
  it('leaves what differs at the end of an address', () => {
    const url = (name: string) => `https://api.example.com/repos/acme/${name}/pulls`;
    expect(truncateMiddle(url('billing'), 80)).toBe(url('billing'));
    expect(truncateMiddle(url('billing'), 28)).toBe('https://a…acme/billing/pulls');
    expect(truncateMiddle(url('billing'), 6)).toBe('https…');
  });

  it('is never wider than asked, for any safe text', () => {
    fc.assert(
      fc.property(safeText, fc.integer({ min: 1, max: 60 }), (text, columns) => {
        expect(displayWidth(truncateMiddle(text, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});

describe('fit', () => {
  it('aligns', () => {
    expect(fit('ab', 5)).toBe('ab   ');
    expect(fit('ab', 5, 'right')).toBe('   ab');
    expect(fit('ab', 5, 'center')).toBe(' ab  ');
    expect(fit('漢字漢', 4, 'right')).toBe(' 漢…');
  });

  it('is exactly as wide as asked, for any safe text', () => {
    fc.assert(
      fc.property(safeText, fc.integer({ min: 1, max: 30 }), (text, columns) => {
        expect(displayWidth(fit(text, columns))).toBe(columns);
        expect(displayWidth(fit(text, columns, 'right'))).toBe(columns);
        expect(text.startsWith(takeColumns(text, columns))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('wrapText', () => {
  it('looks at each part of a long text once: a megabyte without a space is wrapped at all', () => {
    const lines = wrapText('漢字かな'.repeat(75_000), 90);
    expect(lines).toHaveLength(Math.ceil(300_000 / 45));
    expect(lines.join('')).toHaveLength(300_000);
  });

  it('breaks at spaces, and inside a word only where it must', () => {
    expect(wrapText('one two three', 8)).toEqual(['one two', 'three']);
    expect(wrapText('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
    expect(wrapText('a\n\nb', 4)).toEqual(['a', '', 'b']);
    expect(wrapText('', 4)).toEqual(['']);
    expect(wrapText('one two three', 4, 2)).toEqual(['one', 'two']);
  });

  it('keeps every character that is no space, in lines that fit', () => {
    fc.assert(
      fc.property(safeText, fc.integer({ min: 2, max: 30 }), (text, columns) => {
        const lines = wrapText(text, columns);
        for (const line of lines)
          expect(displayWidth(line)).toBeLessThanOrEqual(Math.max(columns, 4));
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
      }),
      { numRuns: 300 },
    );
  });
});
