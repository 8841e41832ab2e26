import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { graphemes } from '../../src/terminal/width.js';
import { safeBlock } from '../../src/terminal/sanitise.js';
import { untrustedText } from './untrusted-text.js';

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

function segmented(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

describe('graphemes', () => {
  it('parts safe text as Unicode does', () => {
    fc.assert(
      fc.property(untrustedText, (text) => {
        const safe = safeBlock(text);
        expect([...graphemes(safe)]).toEqual(segmented(safe));
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps a sign, or a consonant, that is written before what it belongs to with it', () => {
    for (const text of [
      '\u0600a',
      '\u{113d1}\ufffd',
      'a\u{11a84}\u{11a85}bc',
      '\u0d4e\n',
      '\ua960한',
      '\u1100각b',
    ]) {
      expect([...graphemes(text)]).toEqual(segmented(text));
    }
  });

  it('parts unsafe sequences of emoji, flags, jamo and marks as Unicode does', () => {
    const sequences = [
      '👨‍👩‍👧',
      '👍🏽',
      '🇩🇪',
      '❤️',
      '1️⃣',
      '🏳️‍🌈',
      '한',
      '각',
      'a',
      'é',
      '漢',
      'กำ',
      'ｶﾞ',
      ' ',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...sequences)), (parts) => {
        const text = parts.join('');
        expect([...graphemes(text)]).toEqual(segmented(text));
      }),
      { numRuns: 500 },
    );
  });
});
