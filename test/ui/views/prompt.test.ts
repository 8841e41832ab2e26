import { expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import { FilterPrompt } from '../../../src/ui/views/prompt.js';
import { consoleWith } from '../console-made.js';
import { textOf } from '../helpers.js';

it('shows the end of a text that is longer than the line, wide characters too', () => {
  for (const text of ['word '.repeat(40) + 'end', '漢字'.repeat(60) + 'end']) {
    const prompt = new FilterPrompt(text);
    const app = consoleWith(prompt);
    app.update({ size: { columns: 50, rows: 20 } });
    const line = textOf(prompt.drawBottomLine(app));
    expect(line).toMatch(/^ \/….*end█/);
    expect(displayWidth(line)).toBe(50);
  }
});
