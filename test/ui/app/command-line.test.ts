import { describe, expect, it } from 'vitest';
import { panes } from '../../../src/panes/registry.js';
import { completions, noSuchCommand } from '../../../src/ui/app/command-line.js';
import { ConsoleApp } from '../../../src/ui/app/console-app.js';
import { settings } from '../../../src/ui/app/settings.js';
import { actionName } from '../../../src/ui/keys/action-name.js';
import type { View } from '../../../src/ui/model/views.js';
import { viewMade } from '../trace-view-made.js';
import { treeOf } from '../../panes/trace/events.js';

const terminal = {
  size: { columns: 120, rows: 35 },
  onResize: () => undefined,
  end: () => undefined,
  log: () => undefined,
  copy: () => ({ sequence: '', copiedBytes: 0, isCut: false, doubt: undefined }),
  notify: () => undefined,
};

const prompt: View = { kind: 'prompt', purpose: 'command', text: '', index: 0, error: undefined };

/** A console whose `:` was opened over this view, or over the panes. */
function consoleIn(view?: View): ConsoleApp {
  const app = new ConsoleApp(terminal);
  app.update({ views: view ? [view, prompt] : [prompt] });
  return app;
}

const trace = viewMade(treeOf(['trace', null, 0, 10]));

describe('the command line', () => {
  it.each([
    ['panes', consoleIn()],
    ['trace', consoleIn(trace)],
  ] as const)('finds by name every action that has a key in the place: %s', (scope, app) => {
    const bindings = app.keys.in(scope);
    expect(bindings.length).toBeGreaterThan(10);
    for (const { command } of bindings) {
      // Its keys say which pane; each pane has a line of its own.
      if (command === 'focus' || command === 'commandLine') continue;
      const name = actionName(command);
      const [first] = completions(app, name);
      expect(first?.text, name).toBe(name);
    }
  });

  it('finds every pane and every setting with each of its values, and leads the way with Tab', () => {
    const app = consoleIn();
    for (const { id } of panes) expect(completions(app, id)[0]?.text).toBe(id);
    for (const setting of settings) {
      const { name, argument } = setting;
      const texts = (setting.values?.(app) ?? []).map((value) => `${name} ${value}`.trimEnd());
      for (const text of texts) {
        const found = completions(app, text).map((each) => each.text);
        expect(found, text).toContain(text);
      }
      if (argument !== undefined && !setting.values) {
        const [line] = completions(app, `${name} ${argument}`);
        expect(line?.text).toBe(`${name} ${argument}`);
      }
    }
  });

  it('calls no two things by one name', () => {
    for (const app of [consoleIn(), consoleIn(trace)]) {
      const texts = completions(app, '').map(({ text }) => text);
      expect(texts).toEqual([...new Set(texts)]);
    }
  });

  it('offers in what Enter has opened nothing that is of a pane', () => {
    const texts = completions(consoleIn(trace), '').map(({ text }) => text);
    expect(texts).toContain('next-failure');
    expect(texts).toContain('errors');
    expect(texts).not.toContain('reindex');
    expect(texts.some((text) => text.startsWith('sort '))).toBe(false);
  });

  it.each([
    ['reindxe', 'reindex'],
    ['windwo', 'window'],
    ['zom', 'zoom'],
    ['agent-chians', 'agent-chains'],
    ['evry 2s', 'every 2s'],
  ])('that knows no %s asks whether %s was meant', (typed, meant) => {
    expect(noSuchCommand(consoleIn(), typed)).toContain(`did you mean ${meant}?`);
  });

  it('names no command that has nothing to do with what was typed', () => {
    expect(noSuchCommand(consoleIn(), 'xyzzy')).toBe(
      'There is no command "xyzzy"; : lists them all',
    );
  });
});
