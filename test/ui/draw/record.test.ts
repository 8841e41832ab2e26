import { afterEach, describe, expect, it, vi } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import type { RecordRow } from '../../../src/panes/contract/opening.js';
import { layOutRecord } from '../../../src/ui/draw/record.js';
import { drawMatches } from '../../../src/ui/model/search.js';
import { initialFolds, type RecordFolds } from '../../../src/ui/model/record-tree.js';
import { textOf } from '../helpers.js';

const open: RecordFolds = { ...initialFolds, all: 'open' };
const toggled = (...keys: string[]): RecordFolds => ({ ...initialFolds, toggled: new Set(keys) });

function drawn(rows: readonly RecordRow[], width: number, folds: RecordFolds): string[] {
  const layout = layOutRecord({ rows, sections: [], folds }, width);
  layout.grow(Infinity);
  return layout.lines.map(({ line }) => textOf(drawMatches(line, width)));
}

function lines(row: Record<string, unknown>, folds = initialFolds, width = 50): string[] {
  return drawn([row], width, folds).map((line) => line.trimEnd());
}

describe('a row in full', () => {
  it('has its names on the left and its values wrapped beside them', () => {
    const prompt = 'Write a test that fails when the index is missing, and say why.';
    expect(lines({ id: 7, prompt, agent: null })).toEqual([
      'id        7',
      'prompt    Write a test that fails when the index',
      '          is missing, and say why.',
      'agent     –',
    ]);
  });

  it('shows JSON that is nested deeper than a stack, folded and with all of it open', () => {
    const text = `${'[{"a":'.repeat(50_000)}7${'}]'.repeat(50_000)}`;
    for (const data of [text, JSON.parse(text) as unknown]) {
      expect(lines({ data })).toHaveLength(2);
      const all = lines({ data }, open, 400);
      // What lies deepest is a text that is wrapped.
      expect(all.length).toBeGreaterThan(64);
      expect(all.join('').replaceAll(/\s/g, '')).toContain('[{"a":7}]');
    }
  });

  it('shows JSON as a tree, also where it was stored as text', () => {
    const expected = [
      'data      ▾ 3 members',
      '              a: 1',
      '            ▾ b: 2 items',
      '                0: "x"',
      '                1: –',
      '              c: {}',
    ];
    const data = { a: 1, b: ['x', null], c: {} };
    expect(lines({ data })).toEqual(expected);
    expect(lines({ data: JSON.stringify(data) })).toEqual(expected);
    expect(lines({ data: '{not json' })).toEqual(['data      {not json']);
  });

  it('folds each object and list for itself, and says how much it hides', () => {
    const data = { a: { b: 1, c: 2 }, list: Array.from({ length: 20 }, (_, n) => n) };
    expect(lines({ data }, toggled('0/data/a'))).toEqual([
      'data      ▾ 2 members',
      '            ▸ a: {… 2 members}',
      '            ▸ list: [… 20 items]',
    ]);
    expect(lines({ data }, toggled('0/data/list'))).toHaveLength(3 + 2 + 20);
    expect(lines({ data }, toggled('0/data'))).toEqual(['data      ▸ {… 2 members}']);
    expect(lines({ data }, open)).toHaveLength(3 + 2 + 20);
  });

  it('folds long values until they are unfolded, all or one of them', () => {
    const text = Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\n');
    const folded = lines({ text });
    expect(folded).toHaveLength(9);
    expect(folded.at(-1)).toBe('          … 22 lines more');
    expect(lines({ text, more: text }, open)).toHaveLength(60);
    expect(lines({ text, more: text }, toggled('0/more'))).toHaveLength(9 + 30);
  });

  it('says that there is more than it counted of a folded value that it did not read to its end', () => {
    const text = Array.from({ length: 5_000 }, (_, n) => `line ${n}`).join('\n');
    expect(lines({ text }, initialFolds, 200).at(-1)).toContain(
      '… 92 or more lines more, 48,889 characters in all',
    );
  });

  it('takes control sequences out of names and values', () => {
    const safe = lines({
      'na\x1b[31mme': 'a\x1b]0;title\x07b\x9b2Jc',
      'json\x07': { 'k\x1b[2J': '\x1b[2J', l: [] },
    });
    expect(safe.join('\n')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/); // eslint-disable-line no-control-regex
    expect(safe[0]).toBe('name      abc');
  });

  it('is exactly as wide as asked, with a megabyte, wide characters and deep JSON, too', () => {
    const text = `漢字 ${'word '.repeat(200_000)}`;
    let deep: unknown = text.slice(0, 100);
    for (let depth = 0; depth < 40; depth++) deep = { [`漢${depth}`]: deep };
    for (const folds of [initialFolds, open]) {
      const widths = drawn([{ text, deep }], 33, folds).map((line) => displayWidth(line));
      expect(new Set(widths)).toEqual(new Set([33]));
    }
  });

  it('parts several rows and says which of how many each is', () => {
    expect(drawn([{ id: 1 }, { id: 2 }], 20, initialFolds).map((line) => line.trim())).toEqual([
      '1 of 2',
      'id        1',
      '',
      '2 of 2',
      'id        2',
    ]);
  });
});

describe('two megabytes of wide characters', () => {
  afterEach(() => void vi.restoreAllMocks());

  const text = '👩‍👩‍👧‍👦👍🏽🇩🇪漢字かな'.repeat(83_000);

  it('are made safe and measured as far as they are shown, folded or not', () => {
    let looked = 0;
    const normalize = String.prototype.normalize; // eslint-disable-line @typescript-eslint/unbound-method
    vi.spyOn(String.prototype, 'normalize').mockImplementation(function (this: string, form) {
      looked += this.length;
      return normalize.call(this, form);
    });
    for (const folds of [initialFolds, open]) {
      looked = 0;
      const rows = [{ text }];
      const layout = layOutRecord({ rows, sections: [], folds }, 116);
      layout.grow(35);
      expect(layout.lines.length).toBeLessThanOrEqual(35);
      expect(looked).toBeGreaterThan(0);
      expect(looked).toBeLessThan(60_000);
    }
  });

  it('are wrapped once, whatever else is folded meanwhile', () => {
    const rows = [{ text: text.slice(0, 20_000), data: { a: 1 } }];
    const first = layOutRecord({ rows, sections: [], folds: open }, 60);
    first.grow(Infinity);
    const spy = vi.spyOn(String.prototype, 'normalize');
    const folds: RecordFolds = { all: 'open', toggled: new Set(['0/data']) };
    const second = layOutRecord({ rows, sections: [], folds }, 60);
    second.grow(Infinity);
    expect(second.lines).toHaveLength(first.lines.length - 1);
    expect(spy.mock.contexts.join('').length).toBeLessThan(100);
  });
});
