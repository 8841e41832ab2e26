import type { AnyPane } from './pane.js';

/** What names a row elsewhere: an id, a name; not what its cell was cut to. */
export function idOf(pane: AnyPane, row: object): string {
  return pane.idOf?.(row) ?? String(pane.columns[0]?.value(row) ?? '');
}
