import { describe, expect, it } from 'vitest';
import { panes } from '../../../src/panes/registry.js';
import type { ConsoleApp } from '../../../src/ui/app/console-app.js';
import { colonCommands } from '../../../src/ui/commands/registry.js';
import type { View } from '../../../src/ui/context.js';
import { sortsOf } from '../../../src/ui/model/pane-view.js';
import { completions, noSuchCommand, PalettePrompt } from '../../../src/ui/views/palette.js';
import { consoleWith } from '../console-made.js';
import { traceViewMade } from '../trace-made.js';
import { treeOf } from '../../panes/trace/events.js';

/** A console whose `:` was opened over this view, or over the panes. */
function consoleIn(view?: View): ConsoleApp {
  return consoleWith(...(view ? [view] : []), new PalettePrompt());
}

const trace = traceViewMade(treeOf(['trace', null, 0, 10]));

describe('the command line', () => {
  it.each([
    ['panes', consoleIn()],
    ['trace', consoleIn(trace)],
  ] as const)('finds by name every action that has a key in the place: %s', (id, app) => {
    const bindings = app.keys.in({ id });
    expect(bindings.length).toBeGreaterThan(10);
    for (const { id: name } of bindings) {
      // Its keys say which pane; each pane has a line of its own.
      if (name === 'focus' || name === 'command-line') continue;
      const [first] = completions(app, name);
      expect(first?.text, name).toBe(name);
    }
  });

  it('finds every pane and every colon command with each of its values, and leads the way with Tab', () => {
    const app = consoleIn();
    for (const { id } of panes) expect(completions(app, id)[0]?.text).toBe(id);
    for (const command of colonCommands) {
      const { name, argument } = command;
      const texts = (command.values?.(app) ?? []).map((value) => `${name} ${value}`.trimEnd());
      for (const text of texts) {
        const found = completions(app, text).map((each) => each.text);
        expect(found, text).toContain(text);
      }
      if (argument !== undefined && !command.values) {
        const [line] = completions(app, `${name} ${argument}`);
        expect(line?.text).toBe(`${name} ${argument}`);
      }
    }
  });

  it('shows a pane anew by an order behind its name, whatever was pressed in it before', () => {
    const app = consoleIn();
    app.focus.goTo('agents');
    app.focus.change({
      sort: 2,
      reversed: true,
      filter: 'x',
      key: 'row',
      index: 7,
      compared: true,
    });
    completions(app, 'agents slower')[0]?.run(app);
    const slower = sortsOf(app.focus.pane).findIndex(({ id }) => id === 'slower');
    expect(app.focus.view).toMatchObject({
      ...{ sort: slower, reversed: false, filter: '', key: null, index: 0, compared: false },
    });
    for (let times = 0; times < 2; times += 1) {
      completions(app, 'agents before')[0]?.run(app);
      expect(app.focus.view).toMatchObject({ compared: true, reversed: false });
    }
  });

  it.each([
    ['every 0', '"0" is no time between refreshes; give 500ms to 1d, such as 3s or 1m'],
    ['every -1', '"-1" is no time between refreshes; give 500ms to 1d, such as 3s or 1m'],
    ['every 2d', '"2d" is no time between refreshes; give 500ms to 1d, such as 3s or 1m'],
    ['every 3', '"3" is no time between refreshes; give 500ms to 1d, such as 3s or 1m'],
    ['window 0', '"0" is no time window; give 10s to 366d, such as 15m, 2h or 3d'],
    ['window 1', '"1" is no time window; give 10s to 366d, such as 15m, 2h or 3d'],
    ['window 9s', '"9s" is no time window; give 10s to 366d, such as 15m, 2h or 3d'],
    ['window 99999999d', '"99999999d" is no time window; give 10s to 366d, such as 15m, 2h or 3d'],
    ['at 1', '"1" is no moment. Try 14:05, yesterday 14:05, 2026-11-24 14:05, 2h ago.'],
    ['compare 5', '"5" is no moment. Try 14:05, yesterday 14:05, 2026-11-24 14:05, 2h ago.'],
  ])('refuses :%s, and does nothing similar', (typed, says) => {
    const app = consoleIn();
    completions(app, typed)[0]?.run(app);
    expect(app.model.message?.text).toBe(says);
  });

  it.each(['every 500ms', 'every 1d', 'window 10s', 'window 366d', 'window 90s'])(
    'does exactly what :%s says',
    (typed) => {
      const app = consoleIn();
      completions(app, typed)[0]?.run(app);
      const [, span = ''] = typed.split(' ');
      expect(app.model.message?.text).toMatch(new RegExp(`(every|the last) ${span}\\b`));
    },
  );

  it.each([
    ['sort nosuch', /^Agents has no order "nosuch"\. There are .*success/],
    ['sort sucess', /^Agents has no order "sucess"\. Did you mean success\? There are /],
    ['group nonsense', /^Agents has no groups to choose from$/],
    ['time utx', /^There is no zone "utx"\. Did you mean utc\? There are utc, local$/],
    ['pane nosuch', /^There is no pane "nosuch"\. There are recent-traces, .*, doctor$/],
    ['pane agnets', /^There is no pane "agnets"\. Did you mean agents\? There are recent-traces, /],
  ])('says that :%s is unknown, with the nearest and all there are', (typed, says) => {
    const app = consoleIn();
    app.focus.goTo('agents');
    expect(completions(app, typed)).toEqual([]);
    expect(noSuchCommand(app, typed)).toMatch(says);
  });

  it('goes to a pane by :pane, as --pane does', () => {
    const app = consoleIn();
    completions(app, 'pane errors')[0]?.run(app);
    expect(app.focus.pane.id).toBe('errors');
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
