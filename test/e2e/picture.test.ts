import { describe, expect, it } from 'vitest';
import { createEmulator, feed } from './helpers/emulator.js';
import { renderPicture } from './helpers/picture.js';

describe('renderPicture', () => {
  it('draws each run of equal looks at its column, in its colours', async () => {
    const terminal = createEmulator(20, 2);
    await feed(terminal, 'ab \x1b[1;31mred\x1b[0m\r\n\x1b[7m<&>\x1b[0m 漢');
    const picture = renderPicture(terminal, 'A & B');
    expect(picture).toContain('<title>A &amp; B</title>');
    expect(picture).toContain('x="37.2" y="25.5" textLength="25.2"');
    expect(picture).toContain('fill="#ff7b72" font-weight="bold">red</text>');
    expect(picture).toContain('<rect x="12" y="30" width="25.2" height="18" fill="#c9d1d9"/>');
    expect(picture).toContain('>&lt;&amp;&gt;</text>');
    expect(picture).toMatch(/x="45\.6"[^>]*textLength="16\.8"[^>]*>漢</);
  });
});
