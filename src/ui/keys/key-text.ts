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
  'shift+tab': 'Shift-Tab',
};

/** A key as a person reads it: `Ctrl-R`, `PgDn`, `?`. */
export function keyText(key: string): string {
  const named = keyTexts[key];
  if (named !== undefined) return named;
  return key.startsWith('ctrl+') ? `Ctrl-${key.slice(5).toUpperCase()}` : key;
}
