const keyTexts: Readonly<Record<string, string>> = {
  up: '↑',
  down: '↓',
  left: '←',
  right: '→',
  pageUp: 'PgUp',
  pageDown: 'PgDn',
  home: 'Home',
  end: 'End',
  enter: 'Enter',
  escape: 'Esc',
  space: 'Space',
  tab: 'Tab',
  backspace: 'Backspace',
  'shift+tab': 'Shift-Tab',
};

/** A key as a person reads it: `Ctrl-R`, `PgDn`, `?`. */
export function keyText(key: string): string {
  const named = keyTexts[key];
  if (named !== undefined) return named;
  if (key.startsWith('alt+')) return `Alt-${key.slice(4)}`;
  return key.startsWith('ctrl+') ? `Ctrl-${key.slice(5).toUpperCase()}` : key;
}

/** As {@link keyText}, where there is little room: `^R`. */
export function shortKeyText(key: string): string {
  return key.startsWith('ctrl+') ? `^${key.slice(5).toUpperCase()}` : keyText(key);
}
