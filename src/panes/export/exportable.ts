import type { Opened, RecordRow } from '../opening.js';
import type { AnyPane, Column } from '../pane.js';
import { csvOf } from './csv.js';
import { otlpOf } from './otlp.js';
import { traceJson, traceRows } from './trace-rows.js';

export type ExportFormat = 'csv' | 'json' | 'otlp';

/** What can be written to a file, in the formats it can be had in. */
export type Exportable = {
  /** The beginning of the file's name. */
  name: string;
  /** What it is, for the reader: `418 rows of Slow hooks`. */
  title: string;
  formats: Readonly<Partial<Record<ExportFormat, () => string>>>;
};

/** @param which of its rows these are, for the title */
export function paneExport(
  pane: AnyPane,
  rows: readonly object[],
  which: 'shown' | 'marked' = 'shown',
): Exportable {
  const all = rowsExport(pane.id, pane.title, pane.columns, rows);
  return which === 'shown' ? all : { ...all, title: countText(rows.length, pane.title, 'marked ') };
}

export function openedExport(opened: Opened): Exportable {
  switch (opened.kind) {
    case 'list':
      return rowsExport(nameOf(opened.title), opened.title, opened.columns, opened.rows);
    case 'records':
      return {
        name: nameOf(opened.title),
        title: countText(opened.rows.length, opened.title),
        formats: { csv: () => recordsCsv(opened.rows), json: () => jsonOf(opened.rows) },
      };
    case 'trace': {
      const { tree } = opened;
      return {
        name: nameOf(`trace-${tree.asked.event.correlationId}`),
        title: `the trace with its ${tree.nodes.length} events`,
        formats: {
          csv: () => recordsCsv(traceRows(tree)),
          json: () => jsonOf(traceJson(tree)),
          otlp: () => JSON.stringify(otlpOf(tree)),
        },
      };
    }
  }
}

function rowsExport(
  name: string,
  title: string,
  columns: readonly Column<object>[],
  rows: readonly object[],
): Exportable {
  return {
    name,
    title: countText(rows.length, title),
    formats: {
      csv: () =>
        csvOf(
          columns.map(({ id }) => id),
          rows.map((row) => columns.map((column) => column.value(row))),
        ),
      json: () => jsonOf(rows),
    },
  };
}

/** Without a column's declaration: the columns of the first row. */
function recordsCsv(rows: readonly RecordRow[]): string {
  const heading = Object.keys(rows[0] ?? {});
  return csvOf(
    heading,
    rows.map((row) => heading.map((name) => row[name])),
  );
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function countText(count: number, title: string, which = ''): string {
  return `${count} ${which}${count === 1 ? 'row' : 'rows'} of ${title}`;
}

/** A title as part of a file's name: it may hold anything that was stored. */
function nameOf(title: string): string {
  const plain = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return plain.slice(0, 60) || 'rows';
}
