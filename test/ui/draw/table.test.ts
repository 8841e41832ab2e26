import { describe, expect, it, onTestFinished } from 'vitest';
import { showTimesIn } from '../../../src/core/format/time.js';
import { displayWidth } from '../../../src/terminal/width.js';
import {
  columnsOutOfView,
  drawTable,
  hiddenColumns,
  placeColumns,
} from '../../../src/ui/draw/table.js';
import { type Column, textColumn } from '../../../src/panes/contract/column.js';
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

  it('keep the one by which the rows are sorted, beside the first, however narrow the pane is', () => {
    for (const pane of panes) {
      for (const { id: sortedBy } of pane.columns) {
        // As wide as a pane of the overview at 120 columns.
        const placed = placeColumns(pane.columns, 56, { rows: [], context, sortedBy });
        const ids = placed.map(({ column }) => column.id);
        expect(ids, pane.id).toContain(sortedBy);
        expect(ids[0], pane.id).toBe(pane.columns[0]?.id);
      }
    }
  });

  it('give what room is left to the columns without a largest width', () => {
    const placed = placeColumns(fruitColumns, 60);
    expect(placed.map(({ width }) => width)).toEqual([52, 7]);
  });
});

describe('rows that are drawn again', () => {
  const noon = Date.UTC(2026, 2, 1, 12);
  const row = { name: 'run', at: new Date(noon) };
  const columns: Column<typeof row>[] = [
    textColumn({ id: 'name', title: 'name', value: ({ name }) => name, priority: 1, minWidth: 6 }),
    {
      id: 'at',
      title: 'at',
      align: 'left',
      format: 'clock',
      value: ({ at }) => at,
      tone: (_, { nowMs }) => (nowMs > noon + 1_000 ? 'error' : undefined),
      priority: 2,
      minWidth: 14,
      maxWidth: 14,
    },
  ];
  const rows = [row];
  const drawn = (nowMs: number, change: object = {}) =>
    drawTable(columns, rows, { nowMs }, { ...options, width: 40, ...change }).rows;
  const looks = (...of: Parameters<typeof drawn>) => looksOf(drawn(...of)[0]).map(([look]) => look);
  const plain = (...of: Parameters<typeof drawn>) => drawn(...of).map(textOf);

  it('show the moment, the zone, the cursor, the width and the scrolled columns of this time, not of the last', () => {
    onTestFinished(() => showTimesIn('local'));
    showTimesIn('utc');
    const first = drawn(noon);
    expect(first.map(textOf)).toEqual([expect.stringContaining('12:00:00')]);
    expect(drawn(noon)[0]).toBe(first[0]);
    expect(looks(noon, { cursor: 0 })).toEqual(['selected']);
    expect(looks(noon, { faded: true })).toEqual(['muted']);
    expect(looks(noon)).not.toContain('error');
    expect(looks(noon + 2_000)).toContain('error');
    expect(plain(noon + 86_400_000)[0]).toContain('03-01 12:00:00');
    expect(plain(noon, { width: 34 })[0]).toHaveLength(34);
    expect(plain(noon, { shift: 1 })[0]).not.toContain('12:00:00');
    const shownHere = drawn(noon)[0];
    showTimesIn('local');
    expect(drawn(noon)[0]).not.toBe(shownHere);
  });
});

describe('the room of a table', () => {
  type Named = { name: string; tool: string; note: string };
  const text = (
    id: keyof Named,
    minWidth: number,
    maxWidth: number | undefined,
    priority: number,
  ) =>
    textColumn<Named, string>({
      id,
      title: id,
      value: (row) => row[id],
      priority,
      minWidth,
      ...(maxWidth === undefined ? {} : { maxWidth }),
    });
  const columns = [text('name', 8, undefined, 1), text('tool', 5, 9, 2), text('note', 30, 40, 3)];
  const lines = (rows: readonly Named[], width: number) => {
    const drawn = drawTable(columns, rows, context, { ...options, width });
    return [drawn.heading, ...drawn.rows].map(textOf);
  };
  const tool = 'mcp__github__create_pull_request';

  it('goes to what is cut before it stays empty, beyond the usual width of a column', () => {
    const [, first] = lines([{ name: 'guard', tool, note: 'ok' }], 90);
    expect(first).toContain(`  ${tool}  `);
  });

  it('goes first to texts that are read whole or not at all, and takes no column for them', () => {
    const wide = { title: 'name', priority: 1, minWidth: 8, maxWidth: 40 };
    const note = { id: 'note', title: 'note', priority: 2, minWidth: 8, maxWidth: 40 };
    const columns = [
      textColumn<Named, string>({ ...wide, id: 'name', value: (row) => row.name }),
      textColumn<Named, string>({ ...note, prefersWhole: true, value: (row) => row.note }),
      text('tool', 12, 12, 3),
    ];
    const rows = [{ name: 'n'.repeat(30), tool: 'Bash', note: 'too early: 20m of 7d' }];
    const widths = (width: number) =>
      placeColumns(columns, width, { rows, context }).map((place) => place.width);
    expect(widths(44)).toEqual([10, 20, 12]);
  });

  it('is shared by those that are cut when it is not enough for all', () => {
    const [, first = ''] = lines([{ name: 'n'.repeat(60), tool, note: 'x'.repeat(50) }], 90);
    expect(first.match(/…/g)).toHaveLength(3);
    expect(displayWidth(first)).toBe(90);
  });

  it('goes to columns that were left out once none is cut', () => {
    expect(lines([{ name: 'a', tool: 'b', note: 'short' }], 40)[0]).toContain('note');
    const long = [{ name: 'a'.repeat(40), tool: 'b', note: 'short' }];
    expect(lines(long, 40)[0]).not.toContain('note');
    expect(hiddenColumns(columns, 0, 40, { rows: long, context })).toBe(1);
  });

  it('never goes to half a figure: it is whole, or its column is left out', () => {
    const figures = [
      text('name', 8, undefined, 1),
      { ...text('tool', 5, 9, 2), isWhole: true },
      text('note', 4, 8, 3),
    ];
    const rows = [{ name: 'n'.repeat(50), tool: '$0.0314 → $0.0487', note: 'short' }];
    for (let width = 10; width < 90; width += 1) {
      const [line = ''] = drawTable(figures, rows, context, { ...options, width }).rows.map(textOf);
      expect(line.includes('$')).toBe(line.includes('$0.0314 → $0.0487'));
    }
  });

  it('depends on all rows, not on those that a filter leaves', () => {
    const rows = [
      { name: 'a', tool, note: '' },
      { name: 'b', tool: 'Bash', note: '' },
    ];
    const whole = drawTable(columns, rows, context, { ...options, width: 90 });
    const filtered = drawTable(columns, rows.slice(1), context, {
      ...options,
      width: 90,
      all: rows,
    });
    expect(textOf(filtered.heading)).toBe(textOf(whole.heading));
  });

  it('says how many columns have none, with the keys that show them', () => {
    const keys = { inText: (words: string) => words.replace(/:columns-(\w+)/g, '[$1]') };
    const said = (left: number, right: number, known = true) =>
      columnsOutOfView(left, right, known ? keys : undefined).map((segment) => segment.text);
    expect(said(0, 0)).toEqual([]);
    expect(said(0, 1)).toEqual(['[right] shows 1 more column']);
    expect(said(2, 0)).toEqual(['[left] shows 2 more columns']);
    expect(said(2, 3)).toEqual(['[left] shows 2, [right] shows 3 more columns']);
    expect(said(0, 3, false)).toEqual(['+3 columns']);
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
