import { expect, it } from 'vitest';
import type { View } from '../../../src/ui/context.js';
import type { LiveState } from '../../../src/live/state.js';
import { HelpView } from '../../../src/ui/views/help.js';
import { PalettePrompt } from '../../../src/ui/views/palette.js';
import { PaneListView } from '../../../src/ui/views/pane-list.js';
import { RecordView } from '../../../src/ui/views/record.js';
import { pressKey } from '../../../src/ui/app/input.js';
import { eventMade, treeMade } from '../../panes/trace/events.js';
import { consoleWith } from '../console-made.js';
import { traceViewMade } from '../trace-made.js';

const tree = treeMade([
  eventMade(['root', null, 0, 100]),
  eventMade(['call', 'root', 10, 30], { outcome: 'failed' }),
]);

/** A console on a view, and what it says after a key. */
function sayingConsole(view: View) {
  const app = consoleWith(view);
  return (key: string) => {
    pressKey(app, key);
    return app.model.message?.text;
  };
}

it('a key that leads no further in a trace says why', () => {
  const saidAfter = sayingConsole(traceViewMade(tree));
  expect(saidAfter('k')).toBe('This is the first row');
  expect(saidAfter('f')).toBeUndefined();
  expect(saidAfter('f')).toBe('This is the only failure of the trace');
  expect(saidAfter('F')).toBe('This is the only failure of the trace');
  for (const key of ['j', 'G', 'pageDown']) expect(saidAfter(key)).toBe('This is the last row');
  expect(saidAfter('l')).toBe('There is nothing to fold or unfold here');
  expect(saidAfter('k')).toBeUndefined();
  for (const key of ['k', 'g', 'pageUp']) expect(saidAfter(key)).toBe('This is the first row');
  expect(saidAfter('h')).toBeUndefined();
});

it('a key that leads no further in a row in full says why, also the first time', () => {
  const opening = { title: 'Row', read: () => Promise.reject(new Error('not read')) };
  const opened = { kind: 'records' as const, title: 'Row', rows: [{ id: 1, name: 'a', tags: [] }] };
  const saidAfter = sayingConsole(RecordView.of({ id: 1, opening }, opened, undefined));
  for (const key of ['k', 'g', 'pageUp']) expect(saidAfter(key)).toBe('This is the first row');
  expect(saidAfter('h')).toBe('There is nothing to fold here, and no parent');
  expect(saidAfter('l')).toBe('This value is shown whole');
  expect(saidAfter('G')).toBeUndefined();
  for (const key of ['G', 'j', 'pageDown']) expect(saidAfter(key)).toBe('This is the last row');
  expect(saidAfter('k')).toBeUndefined();
});

it('a key that leads no further in the list of panes says why', () => {
  const saidAfter = sayingConsole(new PaneListView(0));
  for (const key of ['k', 'g', 'pageUp']) expect(saidAfter(key)).toBe('This is the first row');
  expect(saidAfter('G')).toBeUndefined();
  for (const key of ['G', 'j', 'pageDown']) expect(saidAfter(key)).toBe('This is the last row');
});

it(': opens the prompt from the lists over the panes, and from the help, which make way', () => {
  for (const dialog of [new PaneListView(0), new HelpView(new PaneListView(0).scope)]) {
    const app = consoleWith(dialog);
    app.update({ live: {} as LiveState });
    pressKey(app, ':');
    expect(app.model.views.at(-1)).toBeInstanceOf(PalettePrompt);
    expect(app.model.views).not.toContain(dialog);
    for (const key of 'zoo') pressKey(app, key);
    expect(app.model.views.at(-1)).toMatchObject({ text: 'zoo' });
  }
});

it('a search in a trace that is not read to its end says how far it looked', () => {
  for (const [isCut, said] of [
    [true, 'Not found in the first 2 events: zzz'],
    [false, 'Not found: zzz'],
  ] as const) {
    const app = consoleWith(traceViewMade({ ...tree, isCut }));
    for (const key of ['/', 'z', 'z', 'z', 'enter', 'n']) pressKey(app, key);
    expect(app.model.message?.text).toBe(said);
  }
});
