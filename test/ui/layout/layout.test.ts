import { describe, expect, it } from 'vitest';
import { overviewPaneIds as paneIds } from '../../../src/panes/registry.js';
import {
  isTooSmall,
  placePanes,
  type Place,
  type Rectangle,
} from '../../../src/ui/layout/layout.js';
import { bodyOf } from '../../../src/ui/model/model.js';

function area(columns: number, rows: number): Rectangle {
  return bodyOf({ columns, rows });
}

function cover(places: readonly Place[]): number {
  return places.reduce((sum, { width, height }) => sum + width * height, 0);
}

function overlap(a: Place, b: Place): boolean {
  const apart =
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
  return !apart;
}

describe('the layout', () => {
  it.each([
    [200, 60, 'grid'],
    [120, 35, 'grid'],
    [80, 24, 'accordion'],
    [80, 60, 'stack'],
    [60, 50, 'stack'],
    [200, 20, 'accordion'],
    [40, 10, 'accordion'],
  ])('of %i×%i is a %s', (columns, rows, name) => {
    expect(placePanes(paneIds, area(columns, rows), 'slow-hooks', false).name).toBe(name);
  });

  it('fills the body at every size, without overlap, with the focused pane in full', () => {
    for (let columns = 40; columns <= 220; columns += 9) {
      for (let rows = 10; rows <= 70; rows += 3) {
        for (const focus of paneIds) {
          const body = area(columns, rows);
          const { places } = placePanes(paneIds, body, focus, false);
          expect(cover(places)).toBe(body.width * body.height);
          expect(places.some((a) => places.some((b) => a !== b && overlap(a, b)))).toBe(false);
          const focused = places.find(({ id }) => id === focus);
          expect(focused?.kind).toBe('full');
          expect(focused?.height).toBeGreaterThanOrEqual(5);
        }
      }
    }
  });

  it('shows every pane from 80×24 on', () => {
    for (const [columns, rows] of [
      [80, 24],
      [120, 35],
      [200, 60],
      [80, 60],
    ] as const) {
      const { places } = placePanes(paneIds, area(columns, rows), 'activity', false);
      expect(places.map(({ id }) => id)).toEqual(paneIds);
    }
  });

  it('gives a zoomed pane the whole body', () => {
    const body = area(120, 35);
    expect(placePanes(paneIds, body, 'activity', true).places).toEqual([
      { id: 'activity', kind: 'full', ...body },
    ]);
  });

  it('gives up below 40×10', () => {
    expect(isTooSmall({ columns: 39, rows: 30 })).toBe(true);
    expect(isTooSmall({ columns: 90, rows: 9 })).toBe(true);
    expect(isTooSmall({ columns: 40, rows: 10 })).toBe(false);
  });
});
