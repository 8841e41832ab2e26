import type { PaneSnapshot } from '../../src/live/state.js';
import { usualLimits, type Pane } from '../../src/panes/contract/pane.js';
import type { AnyPane } from '../../src/panes/registry.js';
import type { Column } from '../../src/panes/contract/column.js';
import { plainText, type StyledLine } from '../../src/ui/draw/styled-line.js';

/** What of a drawn line is text. */
export function textOf(line: StyledLine | undefined): string {
  return plainText(line ?? []);
}

/** The texts of a line that have a look, each with it. */
export function looksOf(line: StyledLine | undefined): [look: string, text: string][] {
  return (line ?? []).flatMap(({ text, look }) => (look === undefined ? [] : [[look, text]]));
}

export type Fruit = { name: string; weight: number | null };

export const fruitColumns: readonly Column<Fruit>[] = [
  {
    id: 'name',
    title: 'fruit',
    align: 'left',
    format: 'text',
    value: ({ name }) => name,
    tone: ({ name }) => (name === 'rotten' ? 'error' : undefined),
    priority: 1,
    minWidth: 6,
  },
  {
    id: 'weight',
    title: 'weight',
    align: 'right',
    format: 'bytes',
    value: ({ weight }) => weight,
    priority: 2,
    minWidth: 7,
    maxWidth: 7,
  },
];

const fruit: Pane<Fruit, { all: number }> = {
  id: 'table-sizes',
  title: 'Fruit',
  question: 'Which fruit is there?',
  needs: {},
  windowed: false,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: fruitColumns,
  sorts: [
    { id: 'weight', title: 'heaviest', direction: 'desc', value: ({ weight }) => weight },
    { id: 'name', title: 'name', direction: 'asc', value: ({ name }) => name },
  ],
  rowKey: ({ name }) => name,
  empty: 'No fruit. Buy some.',
  createReader: () => ({ read: () => Promise.reject(new Error('not asked here')) }),
  summary: ({ extras }) => [[{ text: `${extras.all} in all` }]],
};

/** A pane of our own, as the registry's are: its rows go only back to itself. */
export const fruitPane = fruit as unknown as AnyPane;
export const tailPane: AnyPane = { ...fruitPane, id: 'activity', title: 'Tail', isTail: true };

export function snapshotOf(
  rows: readonly object[],
  changes: Partial<PaneSnapshot> = {},
): PaneSnapshot {
  return {
    id: 'table-sizes',
    rows,
    extras: { all: rows.length, seen: rows.length },
    asOf: new Date('2026-03-01T12:00:00Z'),
    receivedAtMs: 0,
    costMs: 1,
    intervalMs: 2_000,
    error: null,
    stale: false,
    notes: [],
    loading: null,
    exact: false,
    ...changes,
  };
}

export function fruits(...names: string[]): Fruit[] {
  return names.map((name, index) => ({ name, weight: 1024 * (names.length - index) }));
}
