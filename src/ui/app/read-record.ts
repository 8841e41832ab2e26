import type { Database } from '../../db/database.js';
import type { AnyPane } from '../../panes/pane.js';
import { readShape } from '../../panes/shape.js';
import type { RecordRow } from '../model/views.js';

export type ReadRecord = { title: string; rows: readonly RecordRow[] };

/**
 * Asks what Enter on a row shows. The catalogue is read first: the table may have been changed.
 *
 * @throws ConsoleError
 */
export async function readRecord(
  database: Database,
  pane: AnyPane,
  row: object,
  windowMs: number,
): Promise<ReadRecord | undefined> {
  if (!pane.detail) return undefined;
  const shape = await readShape(database);
  const { title, text, values } = pane.detail(row, shape, windowMs);
  const rows = await database.read(text, values, pane.limits);
  return { title, rows };
}
