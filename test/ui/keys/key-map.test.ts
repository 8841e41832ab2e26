import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/ui/app/commands.js';
import { drawKeyBar } from '../../../src/ui/draw/key-bar.js';
import { helpLines } from '../../../src/ui/draw/help.js';
import { keyText } from '../../../src/ui/keys/key-text.js';
import { Keys } from '../../../src/ui/keys/keys.js';
import { placeNames } from '../../../src/ui/keys/place-name.js';
import { panes } from '../../../src/panes/registry.js';
import { displayWidth } from '../../../src/terminal/width.js';
import { plainTheme, textOf } from '../helpers.js';

const keys = new Keys();
const scopes = Object.keys(placeNames) as (keyof typeof placeNames)[];

describe('the key map', () => {
  it('gives a key one meaning in each place', () => {
    for (const scope of scopes) {
      const bound = keys.in(scope).flatMap((binding) => binding.keys);
      expect(bound).toEqual([...new Set(bound)]);
    }
  });

  it('has a command for every binding and a binding for every command', () => {
    const bound = new Set(keys.bindings.map(({ command }) => command));
    expect([...bound].sort()).toEqual(Object.keys(commands).sort());
  });

  it('confirms with another key than those that open an action, and cancels with Enter', () => {
    const keysOf = (...ids: string[]) =>
      keys.bindings.filter(({ command }) => ids.includes(command)).flatMap((each) => each.keys);
    for (const key of keysOf('reindex', 'archiveTraces'))
      expect(keysOf('confirm')).not.toContain(key);
    expect(keys.bindingOf('confirm', 'enter')?.command).toBe('cancel');
    expect(keys.bindingOf('confirm', 'escape')?.command).toBe('cancel');
  });

  it('leads out of every place', () => {
    for (const scope of scopes) {
      expect(keys.bindingOf(scope, 'escape'), scope).toBeDefined();
    }
  });
});

describe('the help', () => {
  const text = helpLines(plainTheme, keys, panes, 100).map(textOf).join('\n');

  it('tells every key of the panes, of an opened row and of actions', () => {
    for (const { scopes: places, text: says, keys: bound } of keys.bindings) {
      if (
        !places.some((scope) =>
          ['panes', 'paneList', 'prompt', 'record', 'confirm', 'running'].includes(scope),
        )
      )
        continue;
      expect(text.replace(/\s+/g, ' ')).toContain(keys.inText(says));
      if (bound.length < 9) expect(text).toContain(bound.map(keyText).join(' '));
    }
  });

  it('tells what each pane answers', () => {
    for (const { question } of panes) expect(text.replace(/\s+/g, ' ')).toContain(question);
  });
});

describe('the key bar', () => {
  it('fits every width and keeps help and quit longest', () => {
    for (let width = 40; width <= 200; width += 7) {
      const line = textOf(drawKeyBar(plainTheme, keys, 'panes', width));
      expect(displayWidth(line)).toBe(width);
      expect(line).toContain('? help');
      expect(line).toContain('q quit');
    }
  });

  it('shows on a wide screen all keys that have a place on it', () => {
    const line = textOf(drawKeyBar(plainTheme, keys, 'panes', 200));
    for (const { bar, scopes: places } of keys.bindings) {
      if (bar !== undefined && places.includes('panes')) expect(line).toContain(` ${bar}`);
    }
  });
});
