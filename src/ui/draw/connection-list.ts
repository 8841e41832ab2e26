import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import type { ConnectionChoice } from '../connection-choice.js';
import { scrollTop } from '../model/pane-view.js';
import type { Theme } from '../theme.js';

type ConnectionListInput = {
  choices: readonly ConnectionChoice[];
  current: ConnectionChoice;
  index: number;
  width: number;
  height: number;
};

/** The databases to choose from: ● the one that is shown, its name in the colour of its badge, its guards, and where it is. */
export function connectionListLines(theme: Theme, input: ConnectionListInput): string[] {
  const { choices, current, index, width, height } = input;
  const columnOf = (texts: readonly string[]) => Math.max(0, ...texts.map(displayWidth));
  const names = columnOf(choices.map(({ name }) => name)) + 2;
  const guards = columnOf(choices.map(guardsOf)) + 2;
  const room = Math.max(0, width - 2 - names - guards);
  const top = scrollTop(0, index, height, choices.length);
  return choices.slice(top, top + height).map((choice, line) => {
    const sign = choice === current ? '● ' : '  ';
    const name = ` ${choice.name} `;
    const blanks = ' '.repeat(Math.max(0, names - displayWidth(name)));
    const rest = fit(guardsOf(choice), guards) + fit(safeLine(choice.says), room);
    if (top + line === index) return theme.paint('selected', sign + name + blanks + rest);
    const { badge } = choice;
    const painted = badge ? theme.paint(`badge-${badge.colour}`, name) : name;
    return sign + painted + blanks + theme.paint('muted', rest);
  });
}

function guardsOf({ badge, readOnly }: ConnectionChoice): string {
  return [badge?.production ? 'production' : '', readOnly ? 'read-only' : '']
    .filter(Boolean)
    .join(', ');
}
