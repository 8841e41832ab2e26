import fs from 'node:fs';
import { fc } from '../../helpers/seeds.js';
import { expect, it } from 'vitest';
import upstream from 'string-width';
import stringWidth from '../../../src/terminal/ink/string-width.js';
import { untrustedText } from '../untrusted-text.js';

const clusters = fc.constantFrom(
  ...[
    'a',
    '漢',
    '👨‍👩‍👧',
    '👍🏽',
    '🇩🇪',
    '❤️',
    '❤',
    '1️⃣',
    '1\u20e3',
    '🏳️‍🌈',
    '한',
    '각',
    '\u1100\u1100\u1161',
  ],
  ...[
    'é',
    'กำ',
    'ｶﾞ',
    'ｱ',
    'நி',
    '\u0301',
    '\u200b',
    '\u1161',
    '\u1100',
    '🫨',
    '☰',
    'ﷺ',
    '\t',
    '\ud800',
  ],
);

it('counts the columns that the package string-width counts', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        untrustedText,
        fc.array(clusters).map((list) => list.join('')),
      ),
      (text) => {
        // Sequences of terminals that are no colours never come to Ink.
        const plain = text.replace(/[\x1b\x9b]/g, ''); // eslint-disable-line no-control-regex
        expect(stringWidth(plain)).toBe(upstream(plain));
      },
    ),
    { numRuns: 3000 },
  );
  expect(stringWidth('\x1b[31m漢\x1b[39m')).toBe(2);
});

it('is needed as long as the package prepares for emoji when it is loaded', () => {
  const source = fs.readFileSync(new URL(import.meta.resolve('string-width')), 'utf8');
  // Where this fails, measure the first frame without src/terminal/ink/string-width.ts.
  expect(source).toMatch(/^const segmenter = new Intl\.Segmenter\(/m);
  expect(source).toMatch(/^const rgiEmojiRegex = /m);
});
