import fs from 'node:fs/promises';
import { parseExactJson } from '../../core/exact-json.js';
import { isNoFile } from '../../core/folders.js';
import { objectOf } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { readLines } from '../lines.js';
import type { Unreadable } from '../discover.js';
import { noRows, type Recorder, type Written } from '../recorder.js';
import { addWritten } from '../row-store.js';
import type { AgentEvent } from '../events.js';
import {
  decodeRequest,
  isAny,
  isRequest,
  telemetryOf,
  type Telemetry,
  type TelemetrySpan,
  signals,
} from './decode.js';
import { figuresProblem, type Figure } from './kept-trace.js';
import { refusedPoints, telemetryRecords, toldBy } from './records.js';
import { recordWithSpans, SpanFlusher } from './staging.js';

export type TelemetryCounts = {
  files: number;
  requests: number;
  spans: number;
  logs: number;
  /** Data points of metrics that are kept, and those that are not. */
  points: number;
  metrics: number;
  /** Spans and log records without an id or a time. */
  rejected: number;
  /** Log records that nobody here knows. */
  unknown: number;
  /** Lines, or parts of protobuf, that are no request. */
  skippedLines: number;
};

/** Of a file that was read otherwise: how many lines, or parts of protobuf, could not be, and the first of them, counted from 1. */
export type Skipped = { path: string; lines: number; first: number };

export type TelemetryImport = TelemetryCounts & {
  written: Written;
  skipped: Skipped[];
  /** Files of which nothing is OTLP. */
  unreadable: Unreadable[];
  /** Data points that the role may not write, and what to grant. */
  leftOut?: { points: number; problem: string };
};

/** A file that is one request is read at once (bytes). */
const mostWhole = 256 << 20;

/**
 * Brings files of OTLP requests into the database: one JSON a line, as the file exporter of the OpenTelemetry Collector
 * writes them, one JSON, or protobuf, with or without lengths in front. Run again it changes nothing.
 *
 * @param recorder undefined: reads and counts only
 * @throws ConsoleError
 */
export async function importTelemetry(
  files: readonly string[],
  {
    database,
    recorder,
    signal,
  }: { database: Database; recorder: Recorder | undefined; signal: AbortSignal },
): Promise<TelemetryImport> {
  const counts: TelemetryCounts = {
    files: 0,
    requests: 0,
    spans: 0,
    logs: 0,
    points: 0,
    metrics: 0,
    rejected: 0,
    unknown: 0,
    skippedLines: 0,
  };
  const written: Written = { rows: noRows(), unchanged: 0 };
  const sink = recorder && new TelemetrySink(database, recorder, written);
  const [skipped, unreadable]: [Skipped[], Unreadable[]] = [[], []];
  let leftOut = 0;
  for (const file of files) {
    let [read, lines, first] = [0, 0, 0];
    for await (const { at, telemetry } of requestsIn(file)) {
      if (signal.aborted) break;
      if (telemetry === undefined) {
        lines += 1;
        if (lines === 1) first = at;
        continue;
      }
      read += 1;
      counts.requests += 1;
      counts.spans += telemetry.spans.length;
      counts.logs += telemetry.logs.length;
      const refused = refusedPoints(telemetry);
      counts.metrics += refused;
      counts.rejected += telemetry.rejected;
      counts.unknown += (await sink?.take(telemetry)) ?? 0;
      const points = telemetry.points.length + telemetry.otherPoints - refused;
      if (sink?.figuresProblem === undefined) counts.points += points;
      else leftOut += points;
    }
    if (read === 0 && !signal.aborted) {
      unreadable.push({ path: file, reason: await strangeness(file) });
      continue;
    }
    counts.files += 1;
    counts.skippedLines += lines;
    if (lines > 0) skipped.push({ path: file, lines, first });
  }
  await sink?.finish();
  const problem = sink?.figuresProblem;
  const aside = problem === undefined ? {} : { leftOut: { points: leftOut, problem } };
  return { ...counts, written, skipped, unreadable, ...aside };
}

class TelemetrySink {
  readonly #database: Database;
  readonly #recorder: Recorder;
  readonly #written: Written;
  #figures: { problem: string | undefined } | undefined;

  constructor(database: Database, recorder: Recorder, written: Written) {
    this.#database = database;
    this.#recorder = recorder;
    this.#written = written;
  }

  /** Why data points are left out; undefined: they are not, or none have come. */
  get figuresProblem(): string | undefined {
    return this.#figures?.problem;
  }

  /** @returns how many log records nobody knows */
  async take(telemetry: Telemetry): Promise<number> {
    const spans: TelemetrySpan[] = [];
    const events: AgentEvent[] = [];
    const figures: Figure[] = [];
    let unknown = 0;
    for (const record of telemetryRecords(telemetry, Date.now())) {
      const told = toldBy(record);
      if (told.span !== undefined) spans.push(told.span);
      else if (told.figure !== undefined) figures.push(told.figure);
      else if (told.events === undefined) unknown += 1;
      else events.push(...told.events);
    }
    // A role that may write all but them goes on with all but them.
    if (figures.length > 0) {
      this.#figures ??= {
        problem: await this.#database.transaction({ purpose: 'ingest' }, figuresProblem),
      };
      if (this.figuresProblem !== undefined) figures.length = 0;
    }
    if (spans.length + events.length + figures.length === 0) return unknown;
    const target = { database: this.#database, recorder: this.#recorder };
    this.#count(await recordWithSpans(target, { events, spans, figures }));
    return unknown;
  }

  async finish(): Promise<void> {
    const flusher = new SpanFlusher(this.#database, this.#recorder, { waits: false });
    for (;;) {
      const written = await flusher.round();
      if (written === undefined) return;
      this.#count(written);
    }
  }

  #count(written: Written): void {
    addWritten(this.#written, written);
  }
}

/** A request, and which line or part of its file it is, counted from 1; `undefined`: that is no request. */
type Found = { at: number; telemetry: Telemetry | undefined };

async function* requestsIn(file: string): AsyncGenerator<Found> {
  const { size, begin } = await beginningOf(file);
  if (size === 0) return;
  if (!isText(begin)) {
    yield* protobufRequests(await whole(file, size));
    return;
  }
  if (isSpread(begin)) {
    yield { at: 1, telemetry: requestOf(await whole(file, size)) };
    return;
  }
  let [at, read] = [0, 0];
  for await (const { bytes, end } of readLines(file, 0)) {
    at += 1;
    read = end;
    if (bytes?.length !== 0) yield { at, telemetry: bytes && requestOf(bytes) };
  }
  // The last line was cut off.
  if (read < size) yield { at: at + 1, telemetry: undefined };
}

/** What a file is of which nothing could be read, in words. */
async function strangeness(file: string): Promise<string> {
  const { size, begin } = await beginningOf(file);
  if (size === 0) return 'it is empty';
  if (begin.startsWith('\u001F\u008B')) return 'it is packed with gzip: unpack it first';
  if (!isText(begin)) return 'its bytes are no request in protobuf';
  return /^\s*\{/.test(begin) && !begin.includes('\n')
    ? 'its line is no whole request'
    : 'none of its lines is a request';
}

/** Protobuf has bytes that no text has: the field of a value, of a scope, or lengths, begins with one. */
const isText = (begin: string): boolean =>
  Buffer.from(begin, 'latin1').every((byte) => byte >= 0x20 || [9, 10, 13].includes(byte));

const beginningBytes = 4_096;

async function beginningOf(file: string): Promise<{ size: number; begin: string }> {
  const strange = isNoFile(file);
  if (strange !== undefined) {
    throw new ConsoleError('usage', `The file ${file} cannot be read: ${strange}.`);
  }
  try {
    const handle = await fs.open(file, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(
        Buffer.alloc(beginningBytes),
        0,
        beginningBytes,
        0,
      );
      return { size: (await handle.stat()).size, begin: buffer.toString('latin1', 0, bytesRead) };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new ConsoleError('usage', `The file ${file} cannot be read.`, { cause });
  }
}

/** Whether an object goes over several lines: its first line is no object of its own. */
const isSpread = (begin: string): boolean => /^\s*\{\s*\r?\n/.test(begin);

async function whole(file: string, size: number): Promise<Buffer> {
  if (size <= mostWhole) return fs.readFile(file);
  throw new ConsoleError('usage', `The file ${file} is one request of ${size} bytes.`, {
    hint: 'Write one request a line (JSON), which is read in parts.',
  });
}

function requestOf(bytes: Buffer): Telemetry | undefined {
  try {
    const value = objectOf(parseExactJson(bytes.toString('utf8')));
    return isRequest(value) ? telemetryOf(value) : undefined;
  } catch {
    return undefined;
  }
}

function* protobufRequests(bytes: Buffer): Generator<Found> {
  let at = 0;
  for (const part of partsOf(bytes)) {
    at += 1;
    yield { at, telemetry: part.length === 0 ? undefined : protobufRequest(part) };
  }
}

/** Requests with their length in four bytes before each, the last one may be cut off; or all bytes: these are no lengths. */
function* partsOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + (at + 4 > bytes.length ? 0 : bytes.readUInt32BE(at));
    if (end > bytes.length && at === 0) {
      yield bytes;
      return;
    }
    yield bytes.subarray(at + 4, end);
    at = end;
  }
}

/** The bytes do not say of which signal they are: of another one nothing can be read. */
function protobufRequest(bytes: Buffer): Telemetry | undefined {
  for (const signal of signals) {
    try {
      const telemetry = decodeRequest(signal, bytes, 'protobuf');
      if (isAny(telemetry)) return telemetry;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
