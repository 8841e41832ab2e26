import { expect, test } from 'vitest';
import { runDemo } from '../../../src/demo/run.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { compareOpening } from '../../../src/panes/compare.js';
import type { Opened } from '../../../src/panes/contract/opening.js';
import { openedExport, paneExport, type Exportable } from '../../../src/panes/export/exportable.js';
import { panes } from '../../../src/panes/registry.js';
import { promptsOpening } from '../../../src/panes/trace/prompts-listed.js';
import { tracesOpening } from '../../../src/panes/trace/traces-listed.js';
import { createTestDatabase } from '../../helpers/database.js';
import { detailAccess, openDatabase, openRow, readFresh } from '../open.js';

/** The rows of a CSV file, by RFC 4180. */
function rowsOf(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = '', end] of csv.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g,
  )) {
    rows.at(-1)?.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

/** What a value of JSON is in a cell. A text that a spreadsheet would calculate has an apostrophe before it. */
function cellOf(value: unknown): string {
  if (value === null) return '';
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
}

type JsonRow = Record<string, unknown>;

/** Compares names and values of both formats; gives the names. */
function compareFormats({ title, formats }: Exportable): string[] {
  const json = JSON.parse(formats.json?.() ?? '') as JsonRow[] | { events: JsonRow[] };
  const rows = Array.isArray(json) ? json : json.events;
  const [heading = [], ...cells] = rowsOf(formats.csv?.() ?? '');
  expect(cells.length, title).toBe(rows.length);
  rows.forEach((row, index) => {
    expect(Object.keys(row), title).toEqual(heading);
    expect(cells[index], title).toEqual(Object.values(row).map(cellOf));
  });
  return heading;
}

test('CSV has the fields and the values of JSON, of every pane and all that its rows open', async () => {
  const { url } = await createTestDatabase();
  const database = await openDatabase(url);
  await runDemo(database, { backfillMs: 2 * 3_600_000, traces: 150, seed: 4 });
  const action = { database, signal: new AbortController().signal };
  const input = { tables: ['error_patterns'] };
  await previewAction('analyze', action, input);
  for await (const progress of runAction('analyze', action, input)) expect(progress).toBeDefined();

  const fields: Record<string, string[]> = {};
  const opened: Opened[] = [];
  for (const pane of panes) {
    const { rows } = await readFresh(database, pane);
    if (rows.length > 0) fields[pane.id] = compareFormats(paneExport(pane, rows));
    // A row has what `status --json` prints of it.
    expect(fields[pane.id] ?? []).toEqual([...new Set(rows.flatMap((row) => Object.keys(row)))]);
    const [first] = rows;
    const found = first && (await openRow(database, pane, first));
    if (found) opened.push(found);
  }
  expect(Object.keys(fields).length).toBeGreaterThan(12);

  const access = await detailAccess(database);
  const traces = await tracesOpening('Traces', { by: 'all' }).read(access);
  const compared = await compareOpening(Date.now() - 3_600_000 / 2).read(access);
  opened.push(traces, compared, await promptsOpening('similar').read(access));
  if (traces.kind !== 'list') throw new Error('traces are a list');
  const [trace] = traces.rows;
  const tree = trace && (await traces.open?.(trace)?.read(access));
  if (tree) opened.push(tree);
  for (const one of opened) compareFormats(openedExport(one));
  expect(new Set(opened.map(({ kind }) => kind))).toEqual(new Set(['list', 'records', 'trace']));
  expect(compareFormats(openedExport(traces))).toEqual(
    expect.arrayContaining(['id', 'session_id', 'correlation_id', 'started_at', 'error_message']),
  );
  expect(compareFormats(openedExport(compared))).not.toContain('opening');
});
