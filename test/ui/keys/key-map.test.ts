import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/ui/app/commands.js';
import { drawKeyBar } from '../../../src/ui/draw/key-bar.js';
import { helpLines } from '../../../src/ui/draw/help.js';
import { bindingOf, keyMap, keyText, type Scope } from '../../../src/ui/keys/key-map.js';
import { panes } from '../../../src/panes/registry.js';
import { displayWidth } from '../../../src/terminal/width.js';
import { plainTheme, textOf } from '../helpers.js';

const scopes: readonly Scope[] = [
  ...([
    'panes',
    'paneList',
    'prompt',
    'record',
    'list',
    'trace',
    'help',
    'confirm',
    'running',
    'done',
    'quit',
    'schema',
  ] as const),
];

describe('the key map', () => {
  it('gives a key one meaning in each place', () => {
    for (const scope of scopes) {
      const keys = keyMap
        .filter((binding) => binding.scopes.includes(scope))
        .flatMap((b) => b.keys);
      expect(keys).toEqual([...new Set(keys)]);
    }
  });

  it('has a command for every binding and a binding for every command', () => {
    const bound = new Set(keyMap.map(({ command }) => command));
    expect([...bound].sort()).toEqual(Object.keys(commands).sort());
  });

  it('confirms with another key than those that open an action, and cancels with Enter', () => {
    const openers = keyMap.filter(({ command }) => ['reindex', 'archive'].includes(command));
    const confirming = keyMap.filter(({ command }) => command === 'confirm').flatMap((b) => b.keys);
    for (const { keys } of openers) for (const key of keys) expect(confirming).not.toContain(key);
    expect(bindingOf('confirm', 'enter')?.command).toBe('cancel');
    expect(bindingOf('confirm', 'escape')?.command).toBe('cancel');
  });

  it('leads out of every place', () => {
    for (const scope of scopes) {
      const ways = keyMap.filter((binding) => binding.scopes.includes(scope));
      expect(ways.some(({ keys }) => keys.includes('escape'))).toBe(true);
    }
  });
});

describe('the help', () => {
  const text = helpLines(plainTheme, panes, 100).map(textOf).join('\n');

  it('tells every key of the panes, of an opened row and of actions', () => {
    for (const { scopes: places, text: says, keys } of keyMap) {
      if (
        !places.some((scope) =>
          ['panes', 'paneList', 'prompt', 'record', 'confirm', 'running'].includes(scope),
        )
      )
        continue;
      expect(text).toContain(says);
      if (keys.length < 9) expect(text).toContain(keys.map(keyText).join(' '));
    }
  });

  it('tells what each pane answers', () => {
    for (const { question } of panes) expect(text.replace(/\s+/g, ' ')).toContain(question);
  });
});

describe('the key bar', () => {
  it('fits every width and keeps help and quit longest', () => {
    for (let width = 40; width <= 200; width += 7) {
      const line = textOf(drawKeyBar(plainTheme, 'panes', width));
      expect(displayWidth(line)).toBe(width);
      expect(line).toContain('? help');
      expect(line).toContain('q quit');
    }
  });

  it('shows on a wide screen all keys that have a place on it', () => {
    const line = textOf(drawKeyBar(plainTheme, 'panes', 200));
    for (const { bar, scopes: places } of keyMap) {
      if (bar !== undefined && places.includes('panes')) expect(line).toContain(` ${bar}`);
    }
  });
});
