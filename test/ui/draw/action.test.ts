import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import { actionLines, type ActionState } from '../../../src/ui/draw/action.js';
import { drawDialog, innerOfDialog } from '../../../src/ui/draw/box.js';
import { Keymap } from '../../../src/ui/keymap.js';
import { textOf } from '../helpers.js';

const state: ActionState = {
  title: 'Reindex',
  phase: 'done',
  preview: undefined,
  typed: '',
  progress: undefined,
  startedAtMs: 0,
  result: undefined,
};

describe('a dialog', () => {
  it('lets nothing out of a result that a terminal would obey', () => {
    const result = {
      message: 'relation "a\x1b]0;owned\x07b" does not exist',
      hint: 'see \x9b2Jhere',
      tone: 'error' as const,
    };
    const lines = actionLines(new Keymap([]), { ...state, result }, 0, {
      width: 80,
      height: 20,
    });
    expect(lines.map(textOf).join('\n')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/); // eslint-disable-line no-control-regex
    expect(textOf(lines[0])).toContain('relation "ab" does not exist');
  });

  it('says how much of it a small screen does not show, and keeps the question', () => {
    const preview = {
      title: 'Prune',
      facts: Array.from({ length: 30 }, (_, n) => ({ label: `fact ${n}`, value: 'x' })),
      warnings: [],
      sql: [],
    };
    const room = { width: 60, height: 12 };
    const body = actionLines(
      new Keymap([]),
      { ...state, phase: 'confirm', preview },
      0,
      innerOfDialog(room),
    );
    const drawn = drawDialog('Prune', body, room);
    const lines = drawn.lines.map(textOf);
    expect(lines.join('\n')).toMatch(/fact 7 .*\n.*… 23 lines more.*\n.*\[ Cancel \]/);
    expect(new Set(lines.map((line) => displayWidth(line))).size).toBe(1);
  });
});
