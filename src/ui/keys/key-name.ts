import type { Key } from 'ink';

/**
 * The name of a key as the key map writes it: `j`, `G`, `?`, `space`, `up`, `pageDown`, `ctrl+r`,
 * `shift+tab`; undefined for what is no key of this console.
 */
export function keyName(input: string, key: Key): string | undefined {
  const special = specialName(key);
  if (special !== undefined) return special;
  if (input === '') return undefined;
  if (input === ' ') return 'space';
  if (key.ctrl) return `ctrl+${input}`;
  return key.meta ? `alt+${input}` : input;
}

function specialName(key: Key): string | undefined {
  if (key.tab) return key.shift ? 'shift+tab' : 'tab';
  if (key.upArrow) return 'up';
  if (key.downArrow) return 'down';
  if (key.leftArrow) return 'left';
  if (key.rightArrow) return 'right';
  if (key.pageUp) return 'pageUp';
  if (key.pageDown) return 'pageDown';
  if (key.home) return 'home';
  if (key.end) return 'end';
  if (key.return) return 'enter';
  if (key.escape) return 'escape';
  return key.backspace || key.delete ? 'backspace' : undefined;
}
