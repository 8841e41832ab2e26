import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import { actionLines, drawDialog } from '../../../src/ui/draw/dialog.js';
import { Keys } from '../../../src/ui/keys/keys.js';
import type { ActionView } from '../../../src/ui/model/views.js';
import { plainTheme, textOf } from '../helpers.js';

const view: ActionView = {
  kind: 'action',
  name: 'reindex',
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
      text: 'relation "a\x1b]0;owned\x07b" does not exist',
      hint: 'see \x9b2Jhere',
      tone: 'error' as const,
    };
    const lines = actionLines(plainTheme, new Keys(), { ...view, result }, 0, {
      width: 80,
      height: 20,
    });
    expect(lines.map(textOf).join('\n')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/); // eslint-disable-line no-control-regex
    expect(textOf(lines[0] ?? '')).toContain('relation "ab" does not exist');
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
      plainTheme,
      new Keys(),
      { ...view, phase: 'confirm', preview },
      0,
      room,
    );
    const drawn = drawDialog(plainTheme, 'Prune', body, room);
    const lines = drawn.lines.map(textOf);
    expect(lines.join('\n')).toMatch(/fact 7 .*\n.*… 23 lines more.*\n.*\[ Cancel \]/);
    expect(new Set(lines.map((line) => displayWidth(line))).size).toBe(1);
  });
});
