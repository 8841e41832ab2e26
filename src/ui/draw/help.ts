import type { AnyPane } from '../../panes/pane.js';
import { paneKey } from '../../panes/registry.js';
import { fit } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import { actionName } from '../keys/action-name.js';
import type { Binding, Scope } from '../keys/key-map.js';
import { keyText } from '../keys/key-text.js';
import type { Keys } from '../keys/keys.js';
import { placeNames } from '../keys/place-name.js';
import type { Theme } from '../theme.js';
import { drawSegments } from './segments.js';

const keyColumn = 16;

/** The places whose keys are told, in this order; the dialogs name their own. */
const told = [
  ...(['panes', 'paneList', 'prompt', 'trace', 'list', 'record'] as const),
  ...(['confirm', 'running', 'quit'] as const),
] satisfies readonly Scope[];

/** The help: every key from the key map, then what each pane answers. */
export function helpLines(
  theme: Theme,
  keys: Keys,
  panes: readonly AnyPane[],
  width: number,
): string[] {
  const lines: string[] = [];
  const seen = new Set<object>();
  const add = (key: string, text: string) => {
    const room = Math.max(10, width - keyColumn);
    for (const [index, line] of wrapText(text, room).entries()) {
      const start = theme.paint('key', fit(index === 0 ? key : '', keyColumn));
      lines.push(start + fit(line, width - keyColumn));
    }
  };
  const heading = (text: string) => {
    if (lines.length > 0) lines.push(' '.repeat(width));
    lines.push(drawSegments(theme, [{ text, look: 'title' }], width));
  };
  for (const scope of told) {
    // A key that works in several places is told once.
    const bindings = keys.in(scope).filter((binding) => !seen.has(binding));
    heading(placeNames[scope]);
    for (const binding of bindings) {
      seen.add(binding);
      add(keysText(binding), keys.inText(binding.text));
    }
  }
  heading('The panes');
  for (const { id, title, question } of panes) add(`${paneKey(id) ?? ' '} ${title}`, question);
  return lines;
}

/** All keys of a binding; what has none is reached by its name. */
export function keysText({ command, keys }: Binding): string {
  const digits = keys.length > 1 && keys.every((key) => /^\d$/.test(key));
  if (digits) return `${keys[0] ?? ''}–${keys.at(-1) ?? ''}`;
  return keys.length === 0 ? `:${actionName(command)}` : keys.map(keyText).join(' ');
}
