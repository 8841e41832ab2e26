import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSource, type ServerSource } from '../../db/connection/source.js';
import { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { kindOf, type TelemetrySpan } from '../otlp/decode.js';
import { telemetryRecords } from '../otlp/records.js';
import { recordWithSpans, SpanFlusher } from '../otlp/staging.js';
import { Prices } from '../prices.js';
import { Recorder } from '../recorder.js';
import { hexOf } from '../sources/source.js';
import { json, text } from '../writer/values.js';
import type { ExportedSpan, ExporterOptions, ExportResult, TraceConsoleExporter } from './types.js';

/** How often (ms) traces whose spans have come are written, and a database that is away is tried. */
const roundMs = 1_000;

/** A flush, or a shutdown with its flush, waits no longer (ms). */
const usualFlushMs = 10_000;

const spansAtOnce = 1_000;

export function createExporter(options: ExporterOptions = {}): TraceConsoleExporter {
  return new Exporter(options);
}

type Opened = { database: Database; recorder: Recorder; flusher: SpanFlusher };

class Exporter implements TraceConsoleExporter {
  readonly #options: ExporterOptions;
  #waiting: TelemetrySpan[] = [];
  #opened: Opened | undefined;
  #working: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isShut = false;
  /** Why the last round has not stored what waits. */
  #problem: unknown;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  export(spans: ExportedSpan[], resultCallback: (result: ExportResult) => void): void {
    const result = this.#take(spans);
    try {
      resultCallback(result);
    } catch {
      // What the caller's function throws must not reach the SDK, nor have it called again.
    }
  }

  #take(spans: readonly ExportedSpan[]): ExportResult {
    const most = this.#options.queueSpans ?? 20_000;
    try {
      if (this.#isShut) throw new Error('the exporter was shut down');
      if (this.#waiting.length + spans.length > most) throw new Error('too many spans wait');
      const { taken, refused } = readable(spans);
      const told = { spans: taken, logs: [], points: [], otherPoints: 0, rejected: 0 };
      // Secrets are taken out.
      const records = telemetryRecords(told, Date.now());
      this.#waiting.push(...records.map(({ payload }) => payload as TelemetrySpan));
      this.#schedule(0);
      if (refused.length === 0) return { code: 0 };
      const all = `${refused.length} of ${spans.length} spans are left out`;
      return { code: 1, error: new Error(`${all}: ${refused[0] ?? ''}`) };
    } catch (error) {
      return { code: 1, error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** @throws Error when spans still wait at its end */
  async forceFlush(): Promise<void> {
    const left = await this.#within((until) => this.#flush(until));
    if (left > 0) throw new Error(`Spans that still wait: ${left}. ${this.#reason()}`);
  }

  /** @throws Error when spans are lost */
  async shutdown(): Promise<void> {
    this.#isShut = true;
    clearTimeout(this.#timer);
    await this.#within(async (until) => {
      const left = await this.#flush(until);
      await this.#close(until);
      return left;
    });
    const lost = this.#waiting.splice(0).length;
    if (lost > 0) throw new Error(`Spans that are lost: ${lost}. ${this.#reason()}`);
  }

  #reason(): string {
    if (this.#problem === undefined) return 'The database has not answered in time.';
    // Secrets are taken out.
    return text(this.#problem instanceof Error ? this.#problem.message : this.#problem) ?? '';
  }

  /**
   * The database may not answer: nobody waits longer for it than they were told.
   * @returns how many spans wait at the end
   */
  async #within(work: (until: number) => Promise<number>): Promise<number> {
    const ms = this.#options.flushMs ?? usualFlushMs;
    const timer = new AbortController();
    const left = await Promise.race([
      work(Date.now() + ms),
      sleep(ms, undefined, { signal: timer.signal })
        .catch(() => undefined)
        .then(() => this.#waiting.length),
    ]);
    timer.abort();
    return left;
  }

  async #flush(until: number): Promise<number> {
    while (this.#waiting.length > 0 && Date.now() < until) {
      if (this.#opened === undefined && !this.#isNamed()) break;
      await this.#work();
      if (this.#waiting.length > 0) await sleep(250);
    }
    return this.#waiting.length;
  }

  /** Whether there is a database to wait for: where none is named, none will come. */
  #isNamed(): boolean {
    try {
      this.#source();
      return true;
    } catch (error) {
      this.#problem = error;
      return false;
    }
  }

  async #close(until: number): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    try {
      // What nobody waits for any more is written without its root.
      const rest = new SpanFlusher(opened.database, opened.recorder, { waits: false });
      while (Date.now() < until && (await rest.round()) !== undefined);
    } catch {
      // The spans are kept in the database: a collector, or the next exporter, writes them.
    }
    await opened.database.close().catch(() => undefined);
  }

  #schedule(ms: number): void {
    if (this.#isShut || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#work().then((isBusy) => {
        if (isBusy) this.#schedule(roundMs);
      });
    }, ms).unref();
  }

  /** One round at a time; true: more is to be done later. */
  async #work(): Promise<boolean> {
    while (this.#working !== undefined) await this.#working;
    let isBusy = true;
    this.#working = this.#round()
      .then((written) => {
        this.#problem = undefined;
        isBusy = written || this.#waiting.length > 0;
      })
      .catch((error: unknown) => {
        // The database is away, or does not take it: spans wait.
        this.#problem = error;
      })
      .finally(() => {
        this.#working = undefined;
      });
    await this.#working;
    return isBusy;
  }

  async #round(): Promise<boolean> {
    const { flusher, ...target } = await this.#open();
    let isStaged = false;
    while (this.#waiting.length > 0) {
      const some = this.#waiting.slice(0, spansAtOnce);
      await recordWithSpans(target, { events: [], spans: some });
      this.#waiting.splice(0, some.length);
      isStaged = true;
    }
    let isWritten = false;
    while ((await flusher.round()) !== undefined) isWritten = true;
    return isStaged || isWritten;
  }

  async #open(): Promise<Opened> {
    if (this.#opened) return this.#opened;
    const database = await Database.open(this.#source(), { schema: this.#options.schema });
    const recorder = new Recorder(database, { prices: new Prices() });
    this.#opened = { database, recorder, flusher: new SpanFlusher(database, recorder) };
    return this.#opened;
  }

  #source(): ServerSource {
    const source = resolveSource({ url: this.#options.url });
    if (source.kind === 'server') return source;
    throw new ConsoleError('usage', 'No database is named: set DATABASE_URL, or give a url.');
  }
}

const errorStatus = 2;

/** Spans as they are kept, and why others cannot be: a span may hold anything, and must not keep the others from being stored. */
function readable(spans: readonly ExportedSpan[]): { taken: TelemetrySpan[]; refused: string[] } {
  const [taken, refused]: [TelemetrySpan[], string[]] = [[], []];
  for (const span of spans) {
    try {
      taken.push(telemetrySpan(span));
    } catch (error) {
      refused.push(error instanceof Error ? error.message : 'it cannot be read');
    }
  }
  return { taken, refused };
}

/** @throws Error of a span without an id or a time, or that cannot be read */
function telemetrySpan(span: ExportedSpan): TelemetrySpan {
  const ids = span.spanContext();
  const [traceId, spanId] = [hexOf(ids.traceId, 16), hexOf(ids.spanId, 8)];
  const startedAt = milliseconds(span.startTime);
  if (traceId === undefined || spanId === undefined) throw new Error('without an id');
  if (startedAt === undefined) throw new Error('without a time');
  const endedAt = milliseconds(span.endTime);
  const scope = span.instrumentationScope ?? span.instrumentationLibrary;
  return {
    traceId,
    spanId,
    parentSpanId: hexOf(span.parentSpanContext?.spanId ?? span.parentSpanId, 8),
    name: textOf(span.name),
    // The SDK counts from 0, OTLP from 1.
    kind: span.kind === undefined ? undefined : kindOf(span.kind + 1),
    startedAt,
    endedAt: endedAt === undefined ? undefined : Math.max(endedAt, startedAt),
    isError: span.status.code === errorStatus,
    message: span.status.message === undefined ? undefined : textOf(span.status.message),
    attributes: plain(span.attributes),
    events: span.events.map(({ name, time, attributes }) => ({
      name: textOf(name),
      at: milliseconds(time) ?? startedAt,
      attributes: plain(attributes),
    })),
    resource: plain(span.resource.attributes),
    scope: scope === undefined ? undefined : textOf(scope.name),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : String(value));

/** JavaScript gives anything: bigints, what throws when it becomes JSON. */
function plain(attributes: object | undefined): Record<string, unknown> {
  const isPlain = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);
  return Object.fromEntries(
    Object.entries(attributes ?? {}).map(([name, value]: [string, unknown]) => {
      const isKept = isPlain(value) || (Array.isArray(value) && value.every(isPlain));
      return [name, isKept ? value : typeof value === 'bigint' ? String(value) : json(value)];
    }),
  );
}

/** The latest time of a Date (ms). */
const latest = 8.64e15;

function milliseconds([seconds, nanoseconds]: readonly [number, number]): number | undefined {
  const ms = seconds * 1_000 + Math.round(nanoseconds / 1e3) / 1e3;
  return ms > 0 && ms <= latest ? ms : undefined;
}
