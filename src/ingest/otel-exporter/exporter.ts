import { resolveSource } from '../../db/connection/source.js';
import { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { kindOf, type TelemetrySpan } from '../otlp/decode.js';
import { telemetryRecords } from '../otlp/records.js';
import { recordWithSpans, SpanFlusher } from '../otlp/staging.js';
import { Prices } from '../prices.js';
import { Recorder } from '../recorder.js';
import type { ExportedSpan, ExporterOptions, ExportResult, TraceConsoleExporter } from './types.js';

/** How often (ms) traces whose spans have come are written, and a database that is away is tried. */
const roundMs = 1_000;

/** A flush waits no longer (ms). */
const flushMs = 10_000;

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

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  export(spans: ExportedSpan[], resultCallback: (result: ExportResult) => void): void {
    const most = this.#options.queueSpans ?? 20_000;
    try {
      if (this.#isShut) throw new Error('the exporter was shut down');
      if (this.#waiting.length + spans.length > most) throw new Error('too many spans wait');
      const told = {
        spans: spans.map(telemetrySpan),
        logs: [],
        points: [],
        otherPoints: 0,
        rejected: 0,
      };
      // Secrets are taken out.
      const records = telemetryRecords(told, Date.now());
      this.#waiting.push(...records.map(({ payload }) => payload as TelemetrySpan));
      this.#schedule(0);
      resultCallback({ code: 0 });
    } catch (error) {
      resultCallback({ code: 1, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  async forceFlush(): Promise<void> {
    const until = Date.now() + flushMs;
    while (this.#waiting.length > 0 && Date.now() < until) {
      await this.#work();
      if (this.#waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async shutdown(): Promise<void> {
    this.#isShut = true;
    clearTimeout(this.#timer);
    await this.forceFlush();
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    try {
      // What nobody waits for any more is written without its root.
      const rest = new SpanFlusher(opened.database, opened.recorder, { waits: false });
      while ((await rest.round()) !== undefined);
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
        isBusy = written || this.#waiting.length > 0;
      })
      .catch(() => {
        // The database is away, or does not take it: spans wait.
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
    const { url, schema } = this.#options;
    const source = resolveSource({ url });
    if (source.kind !== 'server') {
      throw new ConsoleError('usage', 'No database is named: set DATABASE_URL, or give a url.');
    }
    const database = await Database.open(source, { schema });
    const recorder = new Recorder(database, { prices: new Prices() });
    this.#opened = { database, recorder, flusher: new SpanFlusher(database, recorder) };
    return this.#opened;
  }
}

const errorStatus = 2;

function telemetrySpan(span: ExportedSpan): TelemetrySpan {
  const { traceId, spanId } = span.spanContext();
  const scope = span.instrumentationScope ?? span.instrumentationLibrary;
  return {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? span.parentSpanId,
    name: span.name,
    // The SDK counts from 0, OTLP from 1.
    kind: span.kind === undefined ? undefined : kindOf(span.kind + 1),
    startedAt: milliseconds(span.startTime),
    endedAt: Math.max(milliseconds(span.endTime), milliseconds(span.startTime)),
    isError: span.status.code === errorStatus,
    message: span.status.message,
    attributes: { ...span.attributes },
    events: span.events.map(({ name, time, attributes }) => ({
      name,
      at: milliseconds(time),
      attributes: { ...attributes },
    })),
    resource: { ...span.resource.attributes },
    scope: scope?.name,
  };
}

const milliseconds = ([seconds, nanoseconds]: readonly [number, number]): number =>
  seconds * 1_000 + Math.round(nanoseconds / 1e3) / 1e3;
