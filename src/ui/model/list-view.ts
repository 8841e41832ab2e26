import { sortRows } from '../../panes/cells.js';
import type { OpenedList } from '../../panes/opening.js';
import type { ScrollPlace } from './cursor.js';
import type { Search } from './search.js';
import type { OpenedBy } from './views.js';

/** A list over the panes: which row is chosen. */
export type ListView = OpenedBy & {
  kind: 'list';
  /** With its rows as they are shown. */
  opened: OpenedList;
  /** With its rows as they were read. */
  read: OpenedList;
  order: 'read' | 'slowest';
  index: number;
  place: ScrollPlace;
  search?: Search | undefined;
};

export function listView(by: OpenedBy, opened: OpenedList): ListView {
  const view = { index: 0, place: { top: 0, height: 1 } };
  return { ...by, kind: 'list', opened, read: opened, order: 'read', ...view };
}

export function chosenRow({ opened, index }: ListView): object | undefined {
  return opened.rows[index];
}

/** The same list of a later reading; the chosen row stays chosen wherever it moved. */
export function refreshedList(view: ListView, opened: OpenedList): ListView {
  return withRows({ ...view, read: opened }, view);
}

/** The slowest first and at the first of them, or as they were read and at the same row. */
export function reorderedList(view: ListView): ListView {
  if (view.order === 'slowest') return withRows({ ...view, order: 'read' }, view);
  return { ...withRows({ ...view, order: 'slowest' }, view), index: 0 };
}

/** What rows can be ordered by. */
export function hasDurations({ read }: ListView): boolean {
  return read.columns.some(({ format }) => format === 'duration');
}

function withRows(view: ListView, before: ListView): ListView {
  const { read, order, index } = view;
  const column = read.columns.find(({ format }) => format === 'duration');
  const isOrdered = order === 'slowest' && column !== undefined;
  const slowestFirst = { id: 'slowest', title: 'slowest', direction: 'desc' as const };
  const opened = isOrdered
    ? { ...read, rows: sortRows(read.rows, { ...slowestFirst, value: (row) => column.value(row) }) }
    : read;
  const row = chosenRow(before);
  const key = row && opened.rowKey(row);
  const found = opened.rows.findIndex((candidate) => opened.rowKey(candidate) === key);
  const last = Math.max(0, opened.rows.length - 1);
  return { ...view, opened, index: found < 0 ? Math.min(index, last) : found };
}
