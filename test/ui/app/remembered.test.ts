import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { recall, remember } from '../../../src/ui/app/run-console.js';
import { initialState } from '../../../src/ui/model/model.js';

const initial = initialState({ columns: 120, rows: 35 });

function fileWith(text?: string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-layout-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'layout.json');
  if (text !== undefined) fs.writeFileSync(file, text);
  return file;
}

it('finds the layout again as it was left', () => {
  const file = fileWith();
  const panes = {
    ...initial.panes,
    errors: { ...initial.panes.errors, sort: 1, reversed: true },
    'slow-hooks': { ...initial.panes['slow-hooks'], variant: 'tools' },
  };
  const left = { ...initial, overview: ['slow-hooks', 'errors'] as const, home: 'errors' as const };
  remember(file, { ...left, panes, utc: true });
  const { overview, focus, panes: found, utc } = recall(file, initial);
  expect({ overview, focus, utc }).toEqual({
    overview: ['slow-hooks', 'errors'],
    focus: 'errors',
    utc: true,
  });
  expect(found.errors).toMatchObject({ sort: 1, reversed: true });
  expect(found['slow-hooks']).toMatchObject({ sort: 0, variant: 'tools' });
});

it('opens as at first where the file holds something else', () => {
  const { overview, focus, panes } = initial;
  for (const text of [
    'no json',
    'null',
    '[]',
    '{"overview":"errors","sorts":7,"focus":{}}',
    '{"choices":{"errors":{"variant":"all"},"slow-hooks":{"variant":"gone","grouping":7}}}',
    '{"overview":[null,"gone"],"sorts":{"errors":null,"agents":"x","gone":{}},"utc":"yes"}',
  ]) {
    expect(recall(fileWith(text), initial)).toMatchObject({ overview, focus, panes, utc: false });
  }
});

it('takes an id of an earlier version for the pane that had it then', () => {
  const earlier =
    '{"overview":["sessions","errors"],"focus":"sessions","sorts":{"sessions":{"by":"pid"}}}';
  const { overview, focus, panes } = recall(fileWith(earlier), initial);
  expect({ overview, focus }).toEqual({ overview: ['errors', 'postgresql'], focus: 'postgresql' });
  expect(panes.postgresql.sort).toBeGreaterThan(0);
});
