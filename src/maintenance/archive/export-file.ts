import { createReadStream, rmSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNoFile, isNoSpace } from '../../core/folders.js';
import { ConsoleError } from '../../db/errors.js';
import { archivedTables, type ArchivedTable } from '../../core/tables.js';
import {
  isArchivedTable,
  LineSum,
  noCounts,
  type BatchEnd,
  type ExportEnd,
  type ExportHeader,
} from './export-lines.js';

/** Writes an export; a file that is not finished is removed. */
export class ExportWriter {
  readonly file: string;
  readonly #handle: FileHandle;
  readonly #counts = noCounts();
  readonly #total = new LineSum();
  #batches = 0;

  private constructor(file: string, handle: FileHandle) {
    this.file = file;
    this.#handle = handle;
  }

  /** @throws ConsoleError `usage` when the file exists or cannot be made */
  static async create(file: string, header: ExportHeader): Promise<ExportWriter> {
    let handle: FileHandle;
    try {
      // Prompts are private: the file is its owner's alone.
      handle = await open(file, 'wx', 0o600);
    } catch (cause) {
      const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
      const why = exists ? 'it exists already' : (cause as Error).message;
      throw new ConsoleError('usage', `Cannot write ${file}: ${why}.`, {
        cause,
        // Never overwritten: it may be all that is left of rows that an interrupted purge has deleted.
        ...(exists ? { hint: 'Keep it, and export to another file.' } : {}),
      });
    }
    const writer = new ExportWriter(file, handle);
    await writer.#write(header);
    return writer;
  }

  async rows(table: ArchivedTable, lines: readonly string[]): Promise<void> {
    this.#counts[table] += lines.length;
    await this.#text(lines.map((line) => `${line}\n`).join(''));
  }

  async endBatch(batch: BatchEnd['batch']): Promise<void> {
    this.#batches += 1;
    this.#total.addSum(batch.rows, batch.checksum);
    await this.#write({ batch });
  }

  /** The file is on the disk when this returns. */
  async finish(): Promise<ExportEnd['end']> {
    const end = { rows: this.#counts, batches: this.#batches, checksum: this.#total.checksum };
    await this.#write({ end });
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await syncFolder(dirname(this.file));
    } catch (cause) {
      throw this.#failed(cause);
    }
    return end;
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    rmSync(this.file, { force: true });
  }

  #write(line: ExportHeader | BatchEnd | ExportEnd): Promise<void> {
    return this.#text(`${JSON.stringify(line)}\n`);
  }

  async #text(text: string): Promise<void> {
    try {
      await this.#handle.writeFile(text);
    } catch (cause) {
      throw this.#failed(cause);
    }
  }

  #failed(cause: unknown): ConsoleError {
    return new ConsoleError(
      'file_failed',
      `Writing ${this.file} failed: ${(cause as Error).message}.`,
      { hint: `Nothing was deleted.${isNoSpace(cause) ? ' The disk is full.' : ''}`, cause },
    );
  }
}

/** Syncs the folder: otherwise a power cut may lose the new file's name, after its rows were deleted. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(folder, 'r');
  } catch {
    // Windows opens no folders; one that may not be read can still be written to.
    return;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export type ExportPart =
  | { kind: 'header'; header: ExportHeader }
  | { kind: 'row'; table: ArchivedTable; line: string }
  | { kind: 'batch'; batch: BatchEnd['batch'] }
  | { kind: 'end'; end: ExportEnd['end'] };

/**
 * Reads an export part by part.
 *
 * @throws ConsoleError `file_failed` when it cannot be read, or a line is not of an export
 */
export async function* readExport(file: string): AsyncGenerator<ExportPart> {
  let number = 0;
  for await (const line of linesIn(file)) {
    number += 1;
    const part = partOf(line);
    if (!part || (number === 1) !== (part.kind === 'header')) {
      throw new ConsoleError(
        'file_failed',
        `${file}, line ${number}: not an export of an archive.`,
      );
    }
    yield part;
  }
}

function partOf(line: string): ExportPart | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if ('row' in value && 'table' in value && isArchivedTable(value.table)) {
    return { kind: 'row', table: value.table, line };
  }
  if ('batch' in value)
    return isSum(value.batch) ? { kind: 'batch', batch: value.batch } : undefined;
  if ('end' in value) return isEnd(value.end) ? { kind: 'end', end: value.end } : undefined;
  return isHeader(value) ? { kind: 'header', header: value } : undefined;
}

function isSum(value: unknown): value is BatchEnd['batch'] {
  const { rows, checksum } = (value ?? {}) as Record<string, unknown>;
  return Number.isSafeInteger(rows) && typeof checksum === 'string' && /^\d+$/.test(checksum);
}

function isEnd(value: unknown): value is ExportEnd['end'] {
  const { rows, checksum } = (value ?? {}) as Record<string, unknown>;
  return typeof checksum === 'string' && isForEachTable(rows, Number.isSafeInteger);
}

function isHeader(value: object): value is ExportHeader {
  const { traceConsoleArchive, schema, exportedAt, columns } = value as Record<string, unknown>;
  const names = (list: unknown) =>
    Array.isArray(list) && list.every((name) => typeof name === 'string');
  const isVersion = traceConsoleArchive === 1;
  const isText = typeof schema === 'string' && typeof exportedAt === 'string';
  return isVersion && isText && isForEachTable(columns, names);
}

function isForEachTable(value: unknown, is: (entry: unknown) => boolean): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return archivedTables.every((table) => is((value as Record<string, unknown>)[table]));
}

/** Lines end with a line feed alone: readline would also cut at separators that stand in prompts. */
async function* linesIn(file: string): AsyncGenerator<string> {
  const strange = isNoFile(file);
  if (strange !== undefined) {
    throw new ConsoleError('file_failed', `Reading ${file} failed: ${strange}.`);
  }
  let rest: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        yield Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
        rest = [];
        start = end + 1;
      }
      rest.push(chunk.subarray(start));
    }
  } catch (cause) {
    if (cause instanceof ConsoleError) throw cause;
    throw new ConsoleError('file_failed', `Reading ${file} failed: ${(cause as Error).message}.`, {
      cause,
    });
  }
  const last = Buffer.concat(rest).toString('utf8');
  if (last !== '') yield last;
}

/**
 * Reads an export from its first to its last line, and compares every count and checksum.
 *
 * @throws ConsoleError `file_failed` when it is not whole, or not as it was written
 */
export async function verifyExport(
  file: string,
  signal?: AbortSignal,
): Promise<{ header: ExportHeader; end: ExportEnd['end'] }> {
  const total = new LineSum();
  const counts = noCounts();
  let batch = new LineSum();
  let header: ExportHeader | undefined;
  let end: ExportEnd['end'] | undefined;
  const damaged = (what: string) =>
    new ConsoleError('file_failed', `${file} is not as it was written: ${what}.`, {
      hint: 'Nothing was changed. Take another copy of the file.',
    });
  for await (const part of readExport(file)) {
    if (signal?.aborted) throw new ConsoleError('interrupted', 'Cancelled; nothing was changed.');
    if (end) throw damaged('something follows its end');
    if (part.kind === 'header') header = part.header;
    if (part.kind === 'row') {
      batch.add(part.line);
      counts[part.table] += 1;
    }
    if (part.kind === 'batch') {
      if (!batch.equals(part.batch)) throw damaged('a batch has other rows than it should');
      total.addSum(batch.rows, batch.checksum);
      batch = new LineSum();
    }
    if (part.kind === 'end') {
      end = part.end;
      const { rows } = part.end;
      const same = archivedTables.every((table) => rows[table] === counts[table]);
      if (batch.rows > 0 || !same || part.end.checksum !== total.checksum)
        throw damaged('its counts or checksum differ');
    }
  }
  if (!header || !end) throw damaged('its end is missing');
  return { header, end };
}
