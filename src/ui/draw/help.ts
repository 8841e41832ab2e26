import type { AnyPane } from '../../panes/pane.js';
import { paneKey } from '../../panes/registry.js';
import { fit } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import { keyMap, keyText, type Scope } from '../keys/key-map.js';
import type { Theme } from '../theme.js';
import { drawSegments } from './segments.js';

const keyColumn = 16;

const sections: readonly [Scope, string][] = [
  ['panes', 'In the panes'],
  ['paneList', 'In the list of panes'],
  ['prompt', 'While a filter, a search or a command is typed'],
  ['trace', 'In a trace'],
  ['list', 'In a list'],
  ['record', 'In an opened row'],
  ['confirm', 'Before an action'],
  ['running', 'While an action runs'],
  ['quit', 'Asked to quit while it runs'],
];

/** The help: every key from the key map, then what each pane answers. */
export function helpLines(theme: Theme, panes: readonly AnyPane[], width: number): string[] {
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
  for (const [scope, title] of sections) {
    // A key that works in several places is told once.
    const bindings = keyMap.filter(
      (binding) => binding.scopes.includes(scope) && !seen.has(binding),
    );
    heading(title);
    for (const binding of bindings) {
      seen.add(binding);
      add(keysText(binding.keys), binding.text);
    }
  }
  heading('The panes');
  for (const { id, title, question } of panes) add(`${paneKey(id) ?? ' '} ${title}`, question);
  return lines;
}

function keysText(keys: readonly string[]): string {
  const digits = keys.every((key) => /^\d$/.test(key));
  if (digits) return `${keys[0] ?? ''}–${keys.at(-1) ?? ''}`;
  return keys.map(keyText).join(' ');
}
