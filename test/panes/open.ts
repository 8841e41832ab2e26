import { onTestFinished } from 'vitest';
import { resolveSource } from '../../src/db/connection/source.js';
import { Database, type DatabaseOptions } from '../../src/db/database.js';
import type { DetailAccess, Opened } from '../../src/panes/contract/opening.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
} from '../../src/panes/contract/pane.js';
import { rowOpening } from '../../src/panes/contract/pane.js';
import { readShape } from '../../src/panes/contract/shape.js';
import { defaultStuckAfterMs, defaultWindowMs } from '../../src/panes/reading/windows.js';

/** Opens the console's own kind of connection; closed when the test ends. */
export async function openDatabase(url: string, options: DatabaseOptions = {}): Promise<Database> {
  const source = resolveSource({ url, environment: {} });
  if (source.kind === 'embedded') throw new Error('a URL names a server');
  const database = await Database.open(source, options);
  onTestFinished(() => database.close());
  return database;
}

export type ReadOptions = {
  windowMs?: number;
  /** Where the window ends; absent: now. */
  untilMs?: number;
  stuckAfterMs?: number;
  exact?: boolean;
  variant?: string;
  grouping?: string;
  filter?: string;
  budgetUsdPerDay?: number;
};

const asked = new WeakSet<object>();

/** Reads a pane as the console does, with the reader that the caller keeps: the first reading is a brief one. */
export async function readWith<Row extends object, Extras extends object>(
  database: Database,
  pane: Pane<Row, Extras>,
  reader: PaneReader<Row, Extras>,
  options: ReadOptions = {},
): Promise<PaneResult<Row, Extras>> {
  const { windowMs = defaultWindowMs, stuckAfterMs = defaultStuckAfterMs, exact = false } = options;
  const { untilMs, variant, grouping, filter, budgetUsdPerDay } = options;
  const brief = !asked.has(reader);
  asked.add(reader);
  return reader.read({
    shape: await readShape(database),
    capabilities: database.capabilities,
    database,
    transaction: (work) =>
      database.transaction({ ...pane.limits, readOnly: true, tellsTime: true }, work),
    windowMs,
    untilMs,
    stuckAfterMs,
    exact,
    brief,
    variant,
    grouping,
    filter,
    budgetUsdPerDay,
  });
}

/** Reads with the caller's reader until the window is there as a whole. */
export async function readWhole<Row extends object, Extras extends object>(
  ...[database, pane, reader, options]: Parameters<typeof readWith<Row, Extras>>
): Promise<PaneResult<Row, Extras>> {
  for (;;) {
    const result = await readWith(database, pane, reader, options);
    if (!result.loading) return result;
  }
}

/** Reads a pane once, with a reader of its own. */
export function readFresh<Row extends object, Extras extends object>(
  database: Database,
  pane: Pane<Row, Extras>,
  options: ReadOptions = {},
): Promise<PaneResult<Row, Extras>> {
  return readWith(database, pane, pane.createReader(), options);
}

/** What the console accesses details with. */
export async function detailAccess(
  database: Database,
  { windowMs = defaultWindowMs, untilMs }: ReadOptions = {},
): Promise<DetailAccess> {
  return {
    shape: await readShape(database),
    windowMs,
    untilMs,
    read: (text, values, settings = {}) =>
      database.read(text, values, { ...usualLimits, settings }),
  };
}

/** What Enter on a row of a pane opens. */
export async function openRow<Row extends object>(
  database: Database,
  pane: Pane<Row>,
  row: Row,
  options: ReadOptions = {},
): Promise<Opened | undefined> {
  return rowOpening(pane, row)?.read(await detailAccess(database, options));
}
