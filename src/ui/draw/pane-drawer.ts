import type { Theme } from '../theme.js';
import { drawPane, type PaneInput } from './pane.js';

/**
 * Draws one pane, and again only when something of it has changed: most frames change one pane of
 * six. Keeps where the rows are scrolled to.
 */
export class PaneDrawer {
  visibleRows = 1;
  hiddenColumns = 0;
  #top = 0;
  #last: { theme: Theme; input: PaneInput; text: string } | undefined;

  /** The lines of the pane as one text. */
  draw(theme: Theme, input: PaneInput): string {
    const last = this.#last;
    if (last?.theme === theme && isSame(last.input, input)) return last.text;
    const { lines, top, visibleRows, hiddenColumns } = drawPane(theme, input, this.#top);
    this.#top = top;
    this.visibleRows = visibleRows;
    this.hiddenColumns = hiddenColumns;
    const text = theme.encode(lines.join('\n'));
    this.#last = { theme, input, text };
    return text;
  }
}

function isSame(one: PaneInput, other: PaneInput): boolean {
  return (Object.keys(one) as (keyof PaneInput)[]).every((key) => one[key] === other[key]);
}
