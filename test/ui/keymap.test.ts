import { describe, expect, it } from 'vitest';
import { group } from '../../src/ui/commands/panes.js';
import { isOnBar } from '../../src/ui/commands/kinds.js';
import type { Command, Context } from '../../src/ui/context.js';
import { drawKeyBar } from '../../src/ui/draw/header.js';
import { Keymap, keyText } from '../../src/ui/keymap.js';
import { colonCommands } from '../../src/ui/commands/registry.js';
import { helpLines } from '../../src/ui/views/help.js';
import { scopes } from '../../src/ui/views/registry.js';
import { panes } from '../../src/panes/registry.js';
import { displayWidth } from '../../src/terminal/width.js';
import { textOf } from './helpers.js';

const keys = new Keymap(scopes);
const panesScope = { id: 'panes' };

describe('the key map', () => {
  it('gives a key one meaning in each place', () => {
    for (const scope of scopes) {
      const bound = keys.in(scope).flatMap((binding) => binding.keys);
      expect(bound).toEqual([...new Set(bound)]);
    }
  });

  it('calls every command by a name that can be typed, and every scope by one of its own', () => {
    for (const { id } of keys.bindings) expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
    const ids = scopes.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  });

  it('knows every command that a text, a dialog or another command names', () => {
    const names = new Set(keys.bindings.map(({ id }) => id));
    for (const { barWith, closes, asks } of keys.bindings) {
      for (const name of [barWith, closes]) if (name !== undefined) expect(names).toContain(name);
      if (asks !== undefined) expect(scopes.map(({ id }) => id)).toContain(asks);
    }
  });

  it('confirms with another key than those that open an action, and cancels with Enter', () => {
    const keysOf = (...ids: string[]) =>
      keys.bindings.filter(({ id }) => ids.includes(id)).flatMap((each) => each.keys);
    for (const key of keysOf('reindex', 'archive-traces'))
      expect(keysOf('confirm')).not.toContain(key);
    expect(keys.commandOf({ id: 'confirm' }, 'enter')?.id).toBe('cancel');
    expect(keys.commandOf({ id: 'confirm' }, 'escape')?.id).toBe('cancel');
  });

  it('leads out of every place', () => {
    for (const scope of scopes) {
      expect(keys.commandOf(scope, 'escape'), scope.id).toBeDefined();
    }
  });
});

describe('the help', () => {
  const text = helpLines(keys, 100).map(textOf).join('\n');

  it('tells every key of the panes, of an opened row and of actions', () => {
    const listed = ['panes', 'paneList', 'prompt', 'record', 'confirm', 'running'];
    for (const { title, keys: bound } of listed.flatMap((id) => keys.in({ id }))) {
      expect(text.replace(/\s+/g, ' ')).toContain(keys.inText(title));
      if (bound.length < 9) expect(text).toContain(bound.map(keyText).join(' '));
    }
  });

  it('begins with the keys of the view that it was opened in', () => {
    for (const scope of scopes.filter(({ commands }) => commands.some(({ id }) => id === 'help'))) {
      const [heading] = helpLines(keys, 100, { from: scope }).map(textOf);
      expect(heading?.trimEnd()).toBe(scope.title);
    }
  });

  it('has what is typed behind the colon, for who does not know that there is such a question', () => {
    const typed = helpLines(keys, 100, { colonCommands }).map(textOf).join('\n');
    for (const name of ['compare', 'prompts', 'traces', 'follow', 'session']) {
      expect(typed).toContain(`\n:${name} `);
    }
    const recorded = helpLines(keys, 100, { colonCommands, isRecording: true });
    expect(recorded.map(textOf).join('\n')).not.toContain('\n:connect ');
  });

  it('has nothing in a recording that needs a database', () => {
    const lines = helpLines(keys, 100, { isRecording: true }).map((line) => textOf(line).trimEnd());
    const shown = lines.join('\n');
    for (const gone of ['In a trace', 'the next longer time window', 'Before an action', 'ANALYZE'])
      expect(shown).not.toContain(gone);
    for (const there of ['In the panes', 'filter the rows', 'In a recording: by 5 minutes'])
      expect(shown).toContain(there);
    expect(lines.filter((line) => /^[wRTE] /.test(line))).toEqual([]);
  });

  it('tells what each pane answers', () => {
    for (const { question } of panes) expect(text.replace(/\s+/g, ' ')).toContain(question);
  });
});

describe('the key bar', () => {
  it('fits every width and keeps help and quit longest', () => {
    for (let width = 40; width <= 200; width += 7) {
      const line = textOf(drawKeyBar(keys, panesScope, width));
      expect(displayWidth(line)).toBe(width);
      expect(line).toContain('? help');
      expect(line).toContain('q quit');
    }
  });

  it('shows on a wide screen all keys that have a place on it', () => {
    const isShown = ({ isOnBar }: Command) => isOnBar === undefined;
    const line = textOf(drawKeyBar(keys, panesScope, 300, isShown));
    for (const command of keys.in(panesScope).filter(isShown)) {
      if (command.bar !== undefined) expect(line).toContain(` ${command.bar}`);
    }
  });

  it('names the key of groups only where a pane has some', () => {
    for (const pane of panes) {
      const context = { keys, front: { scope: panesScope }, focus: { pane }, model: { live: {} } };
      const isShown = isOnBar(context as unknown as Context, group);
      expect(isShown, pane.id).toBe(Boolean(pane.variants ?? pane.groupings));
    }
  });
});
