import type { AnyPane, PaneId } from '../../panes/pane.js';
import { paneKey } from '../../panes/registry.js';
import { scrollTop } from '../model/pane-view.js';
import type { Theme } from '../theme.js';
import { displayWidth, fit } from '../../terminal/width.js';

type PaneListInput = {
  panes: readonly AnyPane[];
  overview: readonly PaneId[];
  index: number;
  width: number;
  height: number;
};

/** All panes, each with its key, whether the overview shows it, and the question it answers. */
export function paneListLines(theme: Theme, input: PaneListInput): string[] {
  const { panes, overview, index, width, height } = input;
  const title = Math.max(...panes.map((pane) => displayWidth(pane.title))) + 2;
  const room = Math.max(0, width - title - 4);
  const top = scrollTop(0, index, height, panes.length);
  return panes.slice(top, top + height).map((pane, line) => {
    const sign = overview.includes(pane.id) ? '●' : '○';
    const start = `${paneKey(pane.id) ?? ' '} ${sign} `;
    const name = fit(pane.title, title);
    const question = fit(pane.question, room);
    return top + line === index
      ? theme.paint('selected', start + name + question)
      : theme.paint('key', start) + name + theme.paint('muted', question);
  });
}
