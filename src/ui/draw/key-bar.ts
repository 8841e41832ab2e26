import type { Scope } from '../keys/key-map.js';
import type { Keys } from '../keys/keys.js';
import type { Theme } from '../theme.js';
import { fillLine } from './segments.js';
import { displayWidth } from '../../terminal/width.js';

type Item = { key: string; label: string; priority: number };

/** The keys of a scope on one line; where it is narrow the least important go first. */
export function drawKeyBar(theme: Theme, keys: Keys, scope: Scope, width: number): string {
  const items: Item[] = keys
    .in(scope)
    .filter((binding) => binding.bar !== undefined && binding.keys.length > 0)
    .map((binding) => ({
      key: keys.barKeys(binding),
      label: binding.bar ?? '',
      priority: binding.priority ?? 9,
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
