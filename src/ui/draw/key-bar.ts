import { keyMap, keyText, type Scope } from '../keys/key-map.js';
import type { Theme } from '../theme.js';
import { fillLine } from './segments.js';
import { displayWidth } from '../../terminal/width.js';

type Item = { key: string; label: string; priority: number };

/** The keys of a scope on one line; where it is narrow the least important go first. */
export function drawKeyBar(theme: Theme, scope: Scope, width: number): string {
  const items: Item[] = keyMap
    .filter(({ scopes, bar }) => scopes.includes(scope) && bar !== undefined)
    .map(({ keys, bar = '', barKey, priority = 9 }) => ({
      key: barKey ?? keyText(keys[0] ?? ''),
      label: bar,
      priority,
    }));
  const widthOf = ({ key, label }: Item) => displayWidth(key) + 1 + displayWidth(label) + 2;
  while (items.length > 1 && items.reduce((sum, item) => sum + widthOf(item), 0) > width) {
    const last = items.reduce((worst, item, index) => {
      return item.priority >= (items[worst]?.priority ?? 0) ? index : worst;
    }, 0);
    items.splice(last, 1);
  }
  const text = items.map(({ key, label }) => `${theme.paint('key', key)} ${label}`).join('  ');
  const used = items.reduce((sum, item) => sum + widthOf(item), 0) - 2;
  return fillLine({ text: ` ${text}`, width: used + 1 }, width);
}
