import type { OpenedList } from '../../panes/opening.js';
import type { ScrollPlace } from './cursor.js';
import type { Search } from './search.js';
import type { OpenedBy } from './views.js';

/** A list over the panes: which row is chosen. */
export type ListView = OpenedBy & {
  kind: 'list';
  opened: OpenedList;
  index: number;
  place: ScrollPlace;
  search?: Search | undefined;
};

export function listView(by: OpenedBy, opened: OpenedList): ListView {
  return { ...by, kind: 'list', opened, index: 0, place: { top: 0, height: 1 } };
}

export function chosenRow({ opened, index }: ListView): object | undefined {
  return opened.rows[index];
}

/** The same list of a later reading; the chosen row stays chosen wherever it moved. */
export function refreshedList(view: ListView, opened: OpenedList): ListView {
  const row = chosenRow(view);
  const key = row && opened.rowKey(row);
  const found = opened.rows.findIndex((candidate) => opened.rowKey(candidate) === key);
  const last = Math.max(0, opened.rows.length - 1);
  return { ...view, opened, index: found < 0 ? Math.min(view.index, last) : found };
}
