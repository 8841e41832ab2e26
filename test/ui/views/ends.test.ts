import { expect, it } from 'vitest';
import { pressKey } from '../../../src/ui/app/input.js';
import { eventMade, treeMade } from '../../panes/trace/events.js';
import { consoleWith } from '../console-made.js';
import { traceViewMade } from '../trace-made.js';

const tree = treeMade([
  eventMade(['root', null, 0, 100]),
  eventMade(['call', 'root', 10, 30], { outcome: 'failed' }),
]);

it('a key that leads no further in a trace says why', () => {
  const app = consoleWith(traceViewMade(tree));
  const saidAfter = (key: string) => {
    pressKey(app, key);
    return app.model.message?.text;
  };
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
