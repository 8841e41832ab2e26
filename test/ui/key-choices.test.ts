import { describe, expect, it } from 'vitest';
import { drawKeyBar } from '../../src/ui/draw/header.js';
import { configurableCommands, Keymap, readKeyChoices } from '../../src/ui/keymap.js';
import { helpLines } from '../../src/ui/views/help.js';
import { scopes } from '../../src/ui/views/registry.js';
import { textOf } from './helpers.js';

function chosen(written: Record<string, string[]>): Keymap {
  const read = readKeyChoices(scopes, written);
  if (!('choices' in read)) throw new Error(`${read.action} ${read.problem}`);
  return new Keymap(scopes, read.choices);
}

describe('chosen keys', () => {
  const keys = chosen({ reindex: ['X'], quit: ['Q', 'ctrl-q'], sql: ['alt-s'], help: ['H'] });

  it('take the place of the usual ones', () => {
    expect(keys.commandOf({ id: 'panes' }, 'X')?.id).toBe('reindex');
    expect(keys.commandOf({ id: 'panes' }, 'r')).toBeUndefined();
    expect(keys.commandOf({ id: 'running' }, 'ctrl+q')?.id).toBe('quit');
    expect(keys.commandOf({ id: 'panes' }, 'alt+s')?.id).toBe('sql');
  });

  it('that open something close it, too', () => {
    expect(keys.commandOf({ id: 'help' }, 'H')?.id).toBe('back');
    expect(keys.commandOf({ id: 'help' }, '?')).toBeUndefined();
  });

  it('are those that help, key bar and texts name', () => {
    const help = helpLines(keys, 100).map(textOf).join('\n');
    expect(help).toMatch(/^X +rebuild the chosen index/m);
    expect(help).toMatch(/^Q Ctrl-Q +quit; asks first/m);
    expect(help).toContain('X take all marked rows');
    const bar = textOf(drawKeyBar(keys, { id: 'panes' }, 250));
    expect(bar).toContain('X reindex');
    expect(bar).toContain('Q quit');
    expect(keys.inText('Choose one with :window, or :reindex it')).toBe(
      'Choose one with w, or X it',
    );
  });

  it('may be none: the action is reached by its name', () => {
    const without = chosen({ purge: [], reindex: [] });
    expect(without.commandOf({ id: 'panes' }, 'D')).toBeUndefined();
    expect(without.keyOf('purge')).toBe(':purge');
    expect(textOf(drawKeyBar(without, { id: 'panes' }, 250))).not.toContain('reindex');
  });

  it('leave Enter and Esc what they are', () => {
    const other = chosen({ back: ['backspace'], cancel: ['N'], open: ['ctrl-o'] });
    for (const scope of ['help', 'record', 'list', 'trace', 'confirm', 'running'] as const)
      expect(other.commandOf({ id: scope }, 'escape'), scope).toBeDefined();
    expect(other.commandOf({ id: 'confirm' }, 'enter')?.id).toBe('cancel');
    expect(other.commandOf({ id: 'panes' }, 'enter')?.id).toBe('open');
    expect(other.commandOf({ id: 'list' }, 'ctrl+o')?.id).toBe('open');
  });

  it('can be chosen for every action but those of numbers and of the terminal', () => {
    const every = Object.fromEntries(configurableCommands(scopes).map((id) => [id, []]));
    expect(readKeyChoices(scopes, every)).toHaveProperty('choices');
  });
});

describe('keys that cannot be used', () => {
  it.each([
    [{ reindx: ['X'] }, /no action/, /Did you mean reindex\?/],
    [{ focus: ['X'] }, /cannot have other keys/, /trace-console keys/],
    [{ reindex: ['hyper-x'] }, /"hyper-x" is no key/, /Ctrl-X/],
    [{ reindex: ['Constructor'] }, /"Constructor" is no key/, /Ctrl-X/],
    [{ reindex: ['ctrl-c'] }, /Ctrl-C always quits/, /A key is/],
    [{ reindex: ['ctrl-m'] }, /Enter to a terminal/, /A key is/],
    [{ reindex: ['enter'] }, /cannot be Enter/, /Enter opens or cancels/],
    [{ reindex: ['a'] }, /and archive-traces are both a: in the panes/, /other keys, too/],
    [{ sort: ['1'] }, /and focus are both 1/, /cannot be taken/],
    [{ 'previous-failure': ['f'] }, /and next-failure are both f: in a trace/, /other keys/],
    [{ 'prompt-complete': ['x'] }, /is typed there/, /A key is/],
  ])('%j: %s', (written, problem, hint) => {
    const read = readKeyChoices(scopes, written);
    expect(read).toMatchObject({
      action: Object.keys(written)[0],
      problem: expect.stringMatching(problem) as string,
      hint: expect.stringMatching(hint) as string,
    });
  });

  it('are those that would open a question and answer it', () => {
    const moved = { copy: ['J'], accept: ['Y'] };
    for (const [written, action] of [
      [{ ...moved, 'archive-traces': ['y'] }, 'archive-traces'],
      [{ confirm: ['a'] }, 'confirm'],
      [{ ...moved, quit: ['y'] }, 'quit'],
      [{ 'quit-leave': ['q'] }, 'quit-leave'],
      [{ 'export-csv': ['e'] }, 'export-csv'],
    ] as const) {
      const read = readKeyChoices(scopes, written);
      expect(read, JSON.stringify(written)).toMatchObject({ action });
      expect(JSON.stringify(read)).toContain('with the same key');
    }
  });
});
