import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../../src/terminal/width.js';
import { placeColumns, drawTable } from '../../../src/ui/draw/table.js';
import { panes } from '../../../src/panes/registry.js';
import { fruitColumns, fruits, textOf, looksOf } from '../helpers.js';

const options = { width: 30, height: 3, top: 0, cursor: undefined, faded: false };
const context = { nowMs: 0 };

describe('the columns of a pane', () => {
  it('never take more than the width there is, whatever it is', () => {
    for (const pane of panes) {
      for (let width = 8; width <= 200; width++) {
        const placed = placeColumns(pane.columns, width);
        const gap = width < 84 ? 1 : 2;
        const used = placed.reduce((sum, place) => sum + place.width + gap, -gap);
        expect(placed.length).toBeGreaterThan(0);
        expect(used).toBeLessThanOrEqual(width);
        for (const { column, width: given } of placed) {
          expect(given).toBeLessThanOrEqual(column.maxWidth ?? width);
        }
      }
    }
  });

  it('drop the least important first and keep their order', () => {
    for (const pane of panes) {
      const wide = placeColumns(pane.columns, 200).map(({ column }) => column.id);
      expect(wide).toEqual(pane.columns.map(({ id }) => id));
      const narrow = placeColumns(pane.columns, 40).map(({ column }) => column);
      const most = Math.min(...pane.columns.map(({ priority }) => priority));
      expect(narrow.some(({ priority }) => priority === most)).toBe(true);
      expect(narrow).toEqual(pane.columns.filter((column) => narrow.includes(column)));
    }
  });

  it('give what room is left to the columns without a largest width', () => {
    const placed = placeColumns(fruitColumns, 60);
    expect(placed.map(({ width }) => width)).toEqual([52, 7]);
  });
});

describe('a table', () => {
  it('puts numbers to the right with their units and cuts texts with a sign', () => {
    const rows = [
      { name: 'a name that is much too long for it', weight: 8_192 },
      { name: 'fig', weight: null },
    ];
    const drawn = drawTable(fruitColumns, rows, context, options);
    expect(textOf(drawn.heading)).toBe('fruit                   weight');
    expect(drawn.rows.map(textOf)).toEqual([
      'a name that is much t…  8.0 kB',
      'fig                          –',
    ]);
  });

  it('is exactly as wide as asked, also with wide characters', () => {
    const rows = [{ name: '漢字漢字漢字漢字漢字漢字漢字', weight: 1 }];
    for (const width of [10, 17, 30, 31]) {
      const { heading, rows: drawn } = drawTable(fruitColumns, rows, context, {
        ...options,
        width,
      });
      expect(displayWidth(textOf(heading))).toBe(width);
      expect(drawn.map((line) => displayWidth(textOf(line)))).toEqual([width]);
    }
  });

  it('shows control sequences of the database neither as text nor as control', () => {
    const rows = [{ name: '\x1b]52;c;aGk=\x07\x1b[2Jplum\x9b31m\x07', weight: 1 }];
    const drawn = drawTable(fruitColumns, rows, context, options);
    expect(textOf(drawn.rows[0])).toMatch(/^plum +1 B$/);
  });

  it('paints the text of a cell, not the blanks beside it', () => {
    const rows = fruits('rotten');
    const [line] = drawTable(fruitColumns, rows, context, options).rows;
    expect(textOf(line)).toMatch(/^rotten +1\.0 kB$/);
    expect(looksOf(line)).toEqual([['error', 'rotten']]);
  });

  it('marks the whole chosen row and nothing else', () => {
    const drawn = drawTable(fruitColumns, fruits('a', 'b'), context, {
      ...options,
      cursor: 1,
    });
    expect(drawn.rows.map(looksOf)).toEqual([[], [['selected', textOf(drawn.rows[1])]]]);
    expect(displayWidth(textOf(drawn.rows[1]))).toBe(30);
  });
});
