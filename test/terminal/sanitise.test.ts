import { describe, expect, it } from 'vitest';
import { safeBlock, safeLine } from '../../src/terminal/sanitise.js';
import { displayWidth } from '../../src/terminal/width.js';
import { createEmulator, feed } from '../e2e/helpers/emulator.js';
import { fc, keptSeeds } from '../helpers/seeds.js';
import { untrustedText } from './untrusted-text.js';

// Every control, format, surrogate, private and unassigned character, and line separators.
const forbidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

describe('safeLine', () => {
  it('leaves plain text alone', () => {
    expect(safeLine('SELECT * FROM "größe" -- 漢字 ✓')).toBe('SELECT * FROM "größe" -- 漢字 ✓');
  });

  it('removes control sequences whole, with what they carry', () => {
    expect(safeLine('a\x1b[1;31mred\x1b[0m')).toBe('ared');
    expect(safeLine('a\x1b]0;new title\x07b')).toBe('ab');
    expect(safeLine('a\x1b]52;c;aGVsbG8=\x1b\\b')).toBe('ab');
    expect(safeLine('a\x1bP1$r0m\x1b\\b')).toBe('ab');
    expect(safeLine('a\x9b2Jb\x9d0;title\x9cc')).toBe('abc');
    expect(safeLine('a\x1bcb\x1b(0c')).toBe('abc');
  });

  it('does not let an unfinished sequence hide the text behind it', () => {
    expect(safeLine('\x1b]0;rm -rf is what it says')).toBe('0;rm -rf is what it says');
  });

  it('shows line breaks as one sign and tabs as a space', () => {
    expect(safeLine('a\r\nb\n\n\nc\td\u2028e')).toBe('a⏎b⏎c d⏎e');
    expect(safeLine('a\nb', { lineBreak: ' ' })).toBe('a b');
  });

  it('marks what turns the direction, and removes what cannot be seen', () => {
    expect(safeLine('user\u202egpj.exe')).toBe('user\ufffdgpj.exe');
    expect(safeLine('a\u2066b\u2069')).toBe('a\ufffdb\ufffd');
    expect(safeLine('\u2066a\u2069\u200b\ufeffb\u00adc\u3164')).toBe('\ufffda\ufffdbc');
  });

  it('spells emoji sequences as the emoji every terminal knows', () => {
    expect(safeLine('👍🏽 👨‍👩‍👧 ❤️ 1️⃣')).toBe('👍 👨👩👧 ❤ 1');
  });

  it('bounds the marks on a letter and composes what can be composed', () => {
    expect(safeLine('e\u0301')).toBe('é');
    expect(displayWidth(safeLine('x' + '\u0335'.repeat(500)))).toBe(1);
    expect(safeLine('x' + '\u0335'.repeat(500)).length).toBe(3);
    expect(safeLine('\u0301abc')).toBe('abc');
  });

  it('replaces lone surrogates and characters without a meaning', () => {
    expect(safeLine('a\ud83db\udc00c\ue0b0')).toBe('a\ufffdb\ufffdc\ufffd');
  });

  it('looks at the start of a long text only, and says that it is cut', () => {
    expect(safeLine('x'.repeat(2_000_000), { limit: 5 })).toBe('xxxxx…');
    expect(safeLine('abc🎉def', { limit: 4, ellipsis: '~' })).toBe('abc~');
    expect(safeLine('\u200b'.repeat(1_000_000))).toBe('…');
  });

  it.each(keptSeeds)(
    'gives text without controls, and the same when asked again (seed %i)',
    (seed) => {
      fc.assert(
        fc.property(untrustedText, (text) => {
          const line = safeLine(text);
          expect(line).not.toMatch(forbidden);
          expect(safeLine(line)).toBe(line);
        }),
        { seed, numRuns: 1000 },
      );
    },
  );

  it('gives text a terminal draws exactly as wide as computed', async () => {
    const terminal = createEmulator(400, 2);
    await fc.assert(
      fc.asyncProperty(untrustedText, async (text) => {
        // Newer than the emulator's tables: the painter keeps those in their cells (screen.test.ts).
        const line = safeLine(text).replace(newerThanUnicode11, '');
        await feed(terminal, `\x1b[2J\x1b[1;1H${line}`);
        expect(terminal.buffer.active.cursorX).toBe(displayWidth(line));
      }),
      { numRuns: 500 },
    );
  });
});

describe('safeBlock', () => {
  it('keeps lines and widens tabs', () => {
    expect(safeBlock('{\r\n\t"a": 1\n}\x07')).toBe('{\n  "a": 1\n}');
  });

  it.each(keptSeeds)('gives text without controls besides line feeds (seed %i)', (seed) => {
    fc.assert(
      fc.property(untrustedText, (text) => {
        expect(safeBlock(text).replaceAll('\n', '')).not.toMatch(forbidden);
      }),
      { seed, numRuns: 1000 },
    );
  });
});

// Wide characters, and marks, whose width changed after Unicode 11.
const newerThanUnicode11 = new RegExp(
  '[\\u2630-\\u2637\\u268a-\\u268f\\u4dc0-\\u4dff\\u31bb-\\u31bf\\u2ffc-\\u2fff\\u31e4-\\u31ef\\p{M}' +
    '\\u{16fe0}-\\u{18fff}\\u{1aff0}-\\u{1b2ff}\\u{1d300}-\\u{1d3ff}\\u{1f6d3}-\\u{1f6ff}\\u{1f7d9}-\\u{1f7ff}' +
    '\\u{1f90c}-\\u{1faff}]',
  'gu',
);
