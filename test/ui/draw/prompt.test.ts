import { expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import { drawPrompt } from '../../../src/ui/draw/prompt.js';
import { Keys } from '../../../src/ui/keys/keys.js';
import { plainTheme, textOf } from '../helpers.js';

it('shows the end of a text that is longer than the line, wide characters too', () => {
  for (const text of ['word '.repeat(40) + 'end', '漢字'.repeat(60) + 'end']) {
    const view = { kind: 'prompt', purpose: 'filter', text, index: 0, error: undefined } as const;
    const line = textOf(drawPrompt(plainTheme, new Keys(), view, 50));
    expect(line).toMatch(/^ \/….*end█/);
    expect(displayWidth(line)).toBe(50);
  }
});
