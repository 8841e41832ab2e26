import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Recording } from '../../../src/live/recording/recording.js';
import { cellOf } from '../../../src/panes/contract/column.js';
import { panes } from '../../../src/panes/registry.js';

const fixture = new URL('version-1.jsonl', import.meta.url);
const lines = readFileSync(fixture, 'utf8').trimEnd().split('\n');
const [header = '', first = ''] = lines;

function written(...texts: readonly string[]): string {
  const file = join(mkdtempSync(join(tmpdir(), 'trace-console-recording-')), 'a.jsonl');
  writeFileSync(file, texts.map((text) => `${text}\n`).join(''));
  return file;
}

/** The first frame, changed. */
function changed(
  change: (frame: { panes: Record<string, { rows: unknown; rest: object }> }) => void,
) {
  const frame = JSON.parse(first) as Parameters<typeof change>[0];
  change(frame);
  return written(header, JSON.stringify(frame), ...lines.slice(2));
}

const opening = (file: string) => () => Recording.open(file);

describe('a recording of the version before', () => {
  it('opens, with the panes that it has under their names of today, and the others as not recorded', () => {
    const recording = Recording.open(fixture.pathname);
    const { state } = recording.moment(recording.length - 1);
    expect(state.panes['recent-traces'].rows).toEqual([
      { status: 'in_progress', count: 1, share: 1 },
    ]);
    expect(state.panes.postgresql).toMatchObject({ id: 'postgresql', error: null });
    expect(state.panes.postgresql.asOf).toBeInstanceOf(Date);
    expect(Object.keys(state.panes).sort()).toEqual(panes.map(({ id }) => id).sort());
    expect(state.panes.models).toMatchObject({ rows: [], error: { message: 'Not recorded.' } });
  });
});

describe('a recording of an older build on the demo', () => {
  it('opens with rows in the panes that it was on, which are shown by the columns of today', () => {
    const recording = Recording.open(new URL('version-1-demo.jsonl', import.meta.url).pathname);
    const { state } = recording.moment(0);
    const read = panes.filter(({ id }) => state.panes[id].rows.length > 0);
    expect(read.length).toBeGreaterThanOrEqual(10);
    for (const pane of read) {
      const { rows, extras = {}, asOf, notes } = state.panes[pane.id];
      const context = { nowMs: asOf?.getTime() ?? 0 };
      const draw = () => {
        for (const row of rows) for (const column of pane.columns) cellOf(column, row, context);
        pane.summary?.({ rows, extras, asOf: asOf ?? new Date(0), notes }, context);
      };
      expect(draw, pane.id).not.toThrow();
    }
  });
});

describe('a recording that anybody may have written', () => {
  it.each([
    ['a later format', [header.replace('recording 1', 'recording 9'), first], /newer console/],
    ['another format', ['{"format":"something"}', first], /no recording/],
    ['a header without a place', ['{"format":"trace-console recording 1"}', first], /no recording/],
    ['nothing but a header', [header], /ended before the first answer/],
    ['a line of another kind', [header, first, '{"at":"x"}', first], /line 3 is damaged/],
    ['a line that is no JSON', [header, first, '{"at":', first], /line 3 is damaged/],
    [
      'values nested a million deep',
      [
        header,
        first,
        `{"at":1,"wall":1,"full":true,"panes":{},"rest":${'['.repeat(1e6)}${']'.repeat(1e6)}}`,
        first,
      ],
      /line 3 is damaged/,
    ],
    [
      'a state of another shape',
      [header, first.replace('"cadenceMs":', '"x":')],
      /line 2 is damaged/,
    ],
    [
      'a date that is none',
      [header, first.replace('"notes":[]', '"notes":{"$":"map","v":5}')],
      /line 2 is damaged/,
    ],
  ])('is refused by its line: %s', (_name, texts, message) => {
    expect(opening(written(...texts))).toThrow(message);
  });

  it('is refused where rows are repeated that are not there', () => {
    const file = changed((frame) => {
      frame.panes['slow-hooks'] = {
        rows: [[0, 4_000_000_000]],
        rest: frame.panes['slow-hooks']?.rest ?? {},
      };
    });
    expect(opening(file)).toThrow(/line 2 is damaged/);
  });

  it('leaves out what no pane is called, names of object properties too', () => {
    const file = changed((frame) => {
      const { rest = {} } = frame.panes['slow-hooks'] ?? {};
      for (const name of ['constructor', 'toString', 'pane-of-tomorrow'])
        frame.panes[name] = { rows: [], rest };
      Object.defineProperty(frame.panes, '__proto__', {
        value: { rows: [], rest },
        enumerable: true,
      });
    });
    const { state } = Recording.open(file).moment(0);
    expect(Object.keys(state.panes)).toHaveLength(panes.length);
  });

  it('shows a pane whose rows it cannot draw as such, and the others', () => {
    const file = changed((frame) => {
      const pane = frame.panes['top-patterns'];
      if (!pane) throw new Error('no pane');
      pane.rows = [{ agents: 5, twin: null }];
      pane.rest = { ...pane.rest, asOf: { $: 'date', v: 5 }, extras: { shown: 1 } };
    });
    const { state } = Recording.open(file).moment(0);
    expect(state.panes['top-patterns']).toMatchObject({ rows: [], error: { code: 'not_found' } });
    expect(state.panes['slow-hooks'].error).toBeNull();
  });
});
