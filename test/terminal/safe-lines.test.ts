import { describe, expect, it } from 'vitest';
import { safeLines, safeBlock } from '../../src/terminal/sanitise.js';
import { wrapText } from '../../src/terminal/width.js';

describe('lines made one after the other', () => {
  const texts: [string, string][] = [
    ['words', 'a few words, '.repeat(3_000)],
    ['one word', 'x'.repeat(20_000)],
    ['line feeds', 'first\n\n  second \n'.repeat(2_000)],
    ['Windows line ends', `${'x'.repeat(60)}\r\n`.repeat(500)],
    ['Han', '漢字かな'.repeat(3_000)],
    ['families', '👩‍👩‍👧‍👦👍🏽'.repeat(2_000)],
    ['Thai with blanks', 'ก็ข้าว น้ำ '.repeat(500)],
    ['colours', '\x1b[31mred\x1b[0m and \x1b]0;a title\x07more '.repeat(1_000)],
    ['blanks', ' '.repeat(9_000)],
    ['nothing', ''],
  ];

  it.each(texts)('are those of the whole text: %s', (_name, text) => {
    const whole = wrapText(safeBlock(text, { limit: text.length }), 37);
    expect([...safeLines(text, 37)]).toEqual(whole);
  });

  it('hold no half of a character, and nothing that is a command, wherever they are cut', () => {
    for (const text of [
      '🇩🇪🇫🇷'.repeat(2_000),
      'x\x1b]52;c;aGFja2Vk\x07'.repeat(1_000),
      'e\u0301'.repeat(5_000),
    ]) {
      const lines = [...safeLines(text, 41)].join('');
      expect(lines).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])|\ufffd/);
      expect(lines).not.toMatch(/[\x00-\x1f\x7f-\x9f]|aGF/); // eslint-disable-line no-control-regex
    }
  });
});
