import type { DetailAccess, Opened, Opening, RecordRow } from './opening.js';
import type { AnyPane } from './pane.js';

/** What Enter on a row of a pane opens; undefined where there is nothing more to show. */
export function rowOpening(pane: AnyPane, row: object): Opening | undefined {
  if (!pane.detail) return undefined;
  return { title: pane.title, read: (access) => readRow(pane, row, access) };
}

async function readRow(pane: AnyPane, row: object, access: DetailAccess): Promise<Opened> {
  const detail = pane.detail?.(row, access.shape, access.windowMs);
  if (!detail) return { kind: 'records', title: pane.title, rows: [] };
  if ('read' in detail) return detail.read(access);
  const rows = await access.read<RecordRow>(detail.text, detail.values);
  return { kind: 'records', title: detail.title, rows };
}
