/** Names of keys as people write them, without case and dashes. */
const names: Readonly<Record<string, string>> = {
  space: 'space',
  tab: 'tab',
  shifttab: 'shift+tab',
  enter: 'enter',
  return: 'enter',
  esc: 'escape',
  escape: 'escape',
  up: 'up',
  down: 'down',
  left: 'left',
  right: 'right',
  pgup: 'pageUp',
  pageup: 'pageUp',
  pgdn: 'pageDown',
  pagedown: 'pageDown',
  home: 'home',
  end: 'end',
  backspace: 'backspace',
};

/** What a terminal cannot tell from another key, or keeps for itself. */
const controlsTaken: Readonly<Record<string, string>> = {
  c: 'always quits',
  z: 'always leads to the shell',
  l: 'always draws the screen anew',
  h: 'is Backspace to a terminal',
  i: 'is Tab to a terminal',
  j: 'is Enter to a terminal',
  m: 'is Enter to a terminal',
};

export const writtenKeyHint =
  'A key is a character (x, X, ?), Ctrl-X, Alt-x, Space, Tab, Shift-Tab, Backspace, Up, Down, Left, Right, PgUp, PgDn, Home or End.';

/** The key that a person means by `x`, `ctrl-x`, `Alt-x`, `PgUp`: its name in the key map, or what is wrong with it. */
export function readWrittenKey(written: string): { key: string } | { problem: string } {
  if (/^[!-~]$/.test(written)) return { key: written };
  const named = names[written.toLowerCase().replaceAll(/[-+_ ]/g, '')];
  if (named !== undefined) return { key: named };
  const control = /^(?:ctrl[-+]|\^)([a-z])$/i.exec(written)?.[1]?.toLowerCase();
  if (control !== undefined) {
    const taken = controlsTaken[control];
    return taken === undefined
      ? { key: `ctrl+${control}` }
      : { problem: `Ctrl-${control.toUpperCase()} ${taken}` };
  }
  const alt = /^alt[-+]([a-z0-9])$/i.exec(written)?.[1];
  if (alt !== undefined) return { key: `alt+${alt}` };
  // A letter of another alphabet is one character, whatever its marks.
  if (/^\p{L}\p{M}*$/u.test(written)) return { key: written };
  return { problem: `"${written}" is no key` };
}

/** Whether a key writes something where a text is typed, or edits it. */
export function isTyped(key: string): boolean {
  const named = /^(?:ctrl|alt|shift)\+|^[a-z]{2}/i.test(key);
  return !named || ['space', 'backspace', 'ctrl+w', 'ctrl+u'].includes(key);
}
