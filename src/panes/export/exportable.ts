import { counted } from '../../core/format/number.js';
import { ExactNumber, exactJson } from '../../core/exact-json.js';
import { byOwnKey } from '../../core/values.js';
import type { Opened, OpenedList } from '../contract/opening.js';
import type { Pane } from '../contract/pane.js';
import { otlpOf } from './otlp.js';
import { withoutControls } from '../../core/control-sequences.js';
import { eventText, eventTitle, infiniteStart, kindWords } from '../trace/event.js';
import type { TraceTree } from '../trace/tree.js';
import fs from 'node:fs/promises';
import path from 'node:path';
import { ConsoleError } from '../../db/errors.js';

export type ExportFormat = 'csv' | 'json' | 'otlp';

/** What can be written to a file, in the formats it can be had in. */
export type Exportable = {
  /** The beginning of the file's name. */
  name: string;
  /** What it is, for the reader: `418 rows of Slow hooks`. */
  title: string;
  formats: Readonly<Partial<Record<ExportFormat, () => string>>>;
  /** Instead of `formats` where not all rows were read yet: pieces of the file, which end when all rows are in it. */
  streamed?: (format: RowsFormat, onRows: (count: number) => void) => AsyncIterable<string>;
};

/** What rows can be written as. */
export type RowsFormat = Exclude<ExportFormat, 'otlp'>;

/** @param which of its rows these are, for the title */
export function paneExport(
  pane: Pane,
  rows: readonly object[],
  which: 'shown' | 'marked' = 'shown',
): Exportable {
  const all = rowsExport(pane.id, pane.title, rows);
  return which === 'shown' ? all : { ...all, title: countText(rows.length, pane.title, 'marked ') };
}

export function openedExport(opened: Opened): Exportable {
  switch (opened.kind) {
    case 'list': {
      const { title, rows } = opened;
      const written = rows.map((row) => opened.exported?.(row) ?? row);
      return rowsExport(nameOf(title), title, written);
    }
    case 'records':
      return rowsExport(nameOf(opened.title), opened.title, opened.rows);
    case 'trace': {
      const { tree } = opened;
      return {
        name: nameOf(`trace-${tree.asked.event.correlationId}`),
        title: `the trace with its ${counted(tree.nodes.length, 'event')}`,
        formats: {
          csv: () => csvOf(...fieldsOf(traceRows(tree))),
          json: () => jsonOf(traceJson(tree)),
          otlp: () => exactJson(otlpOf(tree)),
        },
      };
    }
  }
}

function rowsExport(name: string, title: string, rows: readonly object[]): Exportable {
  return {
    name,
    title: countText(rows.length, title),
    formats: {
      csv: () => csvOf(...fieldsOf(rows)),
      json: () => {
        const [fields, values] = fieldsOf(rows);
        const named = (row: readonly ExportValue[]) => fields.map((field, at) => [field, row[at]]);
        return jsonOf(values.map((row) => Object.fromEntries(named(row)) as object));
      },
    },
  };
}

/**
 * All rows of a list of which only some were read: the others are read while they are written, so that no more than a
 * page of them is held.
 *
 * @param pages all of its rows, from the first on
 */
export function allRowsExport(
  opened: OpenedList,
  pages: () => AsyncIterable<OpenedList>,
): Exportable {
  const { title, paging } = opened;
  const count = paging.total === undefined ? 'all rows' : counted(paging.total, 'row');
  return {
    ...openedExport(opened),
    title: `${count} of ${title}`,
    async *streamed(format, onRows) {
      let written = 0;
      for await (const page of pages()) {
        // Each page as a file of its own would be; of the files that follow, only the rows.
        const text = openedExport(page).formats[format]?.() ?? '';
        if (format === 'csv') yield written === 0 ? text : text.slice(text.indexOf('\r\n') + 2);
        else if (page.rows.length > 0) {
          yield `${written === 0 ? '[\n' : ',\n'}${text.slice('[\n'.length, -'\n]\n'.length)}`;
        }
        written += page.rows.length;
        onRows(written);
      }
      if (format === 'json') yield written === 0 ? '[]\n' : '\n]\n';
    },
  };
}

/**
 * What is written of rows, in whatever format: the fields that any of them has, as `--json` prints them, and the values
 * of each row; null where it has none.
 */
function fieldsOf(rows: readonly object[]): [fields: string[], values: ExportValue[][]] {
  const fields = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const valuesOf = (row: Readonly<Record<string, unknown>>) =>
    fields.map((field) => byOwnKey(row, field) ?? null);
  return [fields, rows.map((row) => valuesOf(row as Readonly<Record<string, unknown>>))];
}

function jsonOf(value: unknown): string {
  return `${exactJson(value, 2)}\n`;
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

/** A value of a row: what the database gave, not what was drawn. */
export type ExportValue = unknown;

/**
 * Rows as CSV by RFC 4180, with a heading: times in ISO 8601, lists and JSON as JSON, NULL as nothing. A text that a
 * spreadsheet would take for a formula gets an apostrophe before it, and control sequences are left out: the texts
 * come from prompts.
 */
export function csvOf(
  heading: readonly string[],
  rows: readonly (readonly ExportValue[])[],
): string {
  if (heading.length === 0) return '';
  return [heading, ...rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

const formula = /^[=+\-@\t\r]/;

function csvCell(value: ExportValue): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  if (value instanceof ExactNumber) return value.text;
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString();
  const text = withoutControls(typeof value === 'string' ? value : exactJson(value));
  const harmless = formula.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** An event of a trace as `trace --json` prints it and CSV has it; times in milliseconds. */
export type TraceRow = {
  kind: string;
  id: string;
  parentId: string | null;
  depth: number;
  event: string;
  status: string | null;
  outcome: string;
  /** `infinity` and `-infinity` as PostgreSQL writes them. */
  startedAt: Date | string | null;
  offsetMs: number;
  durationMs: number | null;
  /** In which the whole waited for it and for none of its children. */
  ownMs: number;
  archived: boolean;
  text: string;
  details: Readonly<Record<string, unknown>>;
};

function traceRows(tree: TraceTree): TraceRow[] {
  return tree.nodes.map((node) => {
    const { event, depth, startMs, ownMs } = node;
    return {
      kind: kindWords[event.kind],
      id: event.id,
      parentId: node.parent?.event.id ?? null,
      depth,
      event: eventTitle(event),
      status: event.status,
      outcome: event.outcome,
      startedAt:
        infiniteStart(event) ??
        (event.startedUs === null ? null : new Date(event.startedUs / 1000)),
      offsetMs: startMs,
      durationMs: event.durationMs,
      ownMs: Math.round(ownMs),
      archived: event.archived,
      text: eventText(event),
      details: event.details,
    };
  });
}

/** The whole trace for programs. */
export function traceJson(tree: TraceTree): object {
  const { asked, totalMs, failures, running, costUsd } = tree;
  const { inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens } = tree;
  return {
    correlationId: asked.event.correlationId,
    status: asked.event.status,
    totalMs,
    failures,
    running,
    inputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    outputTokens,
    costUsd,
    isCut: tree.isCut,
    events: traceRows(tree),
  };
}

const mostTries = 1_000;

/**
 * Writes a file that only its owner may read (prompts are private), never over another: a second one of the name gets
 * `-2`. What comes in pieces has its name once all of it is there, and until then that name with `.part`.
 *
 * @returns where it is
 * @throws ConsoleError `file_not_written`; and whatever the pieces throw: then there is no file
 */
export async function writeNewFile(
  folder: string,
  name: string,
  extension: string,
  text: string | AsyncIterable<string>,
): Promise<string> {
  if (typeof text !== 'string') return writePieces(folder, name, extension, text);
  return withFreeName(folder, name, extension, (file) =>
    fs.writeFile(file, text, { flag: 'wx', mode: 0o600 }),
  );
}

async function writePieces(
  folder: string,
  name: string,
  extension: string,
  pieces: AsyncIterable<string>,
): Promise<string> {
  const part = await withFreeName(folder, name, `${extension}.part`, (file) =>
    fs.writeFile(file, '', { flag: 'wx', mode: 0o600 }),
  );
  try {
    await fs.writeFile(part, pieces);
    return await withFreeName(folder, name, extension, (file) => fs.link(part, file));
  } finally {
    await fs.rm(part, { force: true });
  }
}

/** Makes a file under the first name that is free. */
async function withFreeName(
  folder: string,
  name: string,
  extension: string,
  make: (file: string) => Promise<void>,
): Promise<string> {
  for (let number = 1; number <= mostTries; number++) {
    const suffix = number === 1 ? '' : `-${number}`;
    const file = path.resolve(folder, `${name}${suffix}.${extension}`);
    try {
      await make(file);
      return file;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      const reason = error instanceof Error ? error.message : String(error);
      throw new ConsoleError('file_not_written', `The file could not be written: ${reason}`, {
        cause: error,
        hint: `Start the console in a folder of your own, or name one: ${exportFolderVariable}=FOLDER`,
      });
    }
  }
  throw new ConsoleError('file_not_written', `${folder} has ${mostTries} files of that name.`);
}

export const exportFolderVariable = 'TRACE_CONSOLE_EXPORT_FOLDER';

/** Where exports go: the configured folder, or the current one. */
export function exportFolder(environment: NodeJS.ProcessEnv): string {
  const configured = environment[exportFolderVariable];
  return configured === undefined || configured === '' ? process.cwd() : configured;
}
