/** Where spans go. What is left out comes from the environment, as for the command line. */
export type ExporterOptions = {
  /** `postgresql://user@host:port/database`; default: the connection that the environment names. */
  url?: string;
  /** Target schema; default: the first of search_path. */
  schema?: string;
  /** Spans that wait at most while the database is away; more are refused. Default 20,000. */
  queueSpans?: number;
  /** How long (ms) `forceFlush` and `shutdown` take at most. Default 10,000. */
  flushMs?: number;
};

type Time = readonly [seconds: number, nanoseconds: number];

/** What is read of a span, as the OpenTelemetry SDK for JavaScript has it: 1.x and 2.x. */
export type ExportedSpan = {
  name: string;
  spanContext(): { traceId: string; spanId: string };
  /** 2.x */
  parentSpanContext?: { spanId: string } | undefined;
  /** 1.x */
  parentSpanId?: string | undefined;
  /** 0: internal */
  kind?: number | undefined;
  startTime: Time;
  endTime: Time;
  status: { code: number; message?: string | undefined };
  attributes: object;
  events: readonly { name: string; time: Time; attributes?: object | undefined }[];
  resource: { attributes: object };
  /** 2.x */
  instrumentationScope?: { name: string } | undefined;
  /** 1.x */
  instrumentationLibrary?: { name: string } | undefined;
};

/** 0: taken; 1: not. */
export type ExportResult = { code: number; error?: Error };

/** A SpanExporter of the SDK: for a BatchSpanProcessor. */
export type TraceConsoleExporter = {
  export(spans: ExportedSpan[], resultCallback: (result: ExportResult) => void): void;
  /** Rejects with the number of spans that still wait. */
  forceFlush(): Promise<void>;
  /** Rejects with the number of spans that are lost. */
  shutdown(): Promise<void>;
};

export type CreateExporter = (options?: ExporterOptions) => TraceConsoleExporter;
