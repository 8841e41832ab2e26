import { createRequire } from 'node:module';

type Message = {
  fromObject(object: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): object;
};

type Schemas = {
  opentelemetry: {
    proto: {
      collector: {
        trace: { v1: { ExportTraceServiceRequest: Message } };
        metrics: { v1: { ExportMetricsServiceRequest: Message } };
      };
    };
  };
};

/**
 * The parser of OpenTelemetry's SDK for JavaScript, made of the official schemas. The newest SDK only writes; 0.215 was the
 * last one that reads, too.
 */
const schemas = createRequire(import.meta.url)(
  'otlp-schemas/build/src/generated/root.js',
) as Schemas;

const { trace, metrics } = schemas.opentelemetry.proto.collector;
const messages = {
  traces: trace.v1.ExportTraceServiceRequest,
  metrics: metrics.v1.ExportMetricsServiceRequest,
};

const idNames: ReadonlySet<string> = new Set(['traceId', 'spanId', 'parentSpanId']);

/**
 * A request in OTLP/JSON as the SDK has understood it, through its bytes: what the schemas do not know, or know as something
 * else, is not in it.
 */
export function readBySdk(signal: keyof typeof messages, json: string): unknown {
  const message = messages[signal];
  // JSON has ids in hexadecimal.
  const request = JSON.parse(json, (name, value: unknown) =>
    idNames.has(name) ? Buffer.from(value as string, 'hex') : value,
  ) as object;
  const bytes = message.encode(message.fromObject(request)).finish();
  const read = message.toObject(message.decode(bytes), { longs: String });
  return JSON.parse(JSON.stringify(read, (_, value: unknown) => hexOf(value) ?? value));
}

/** A request as it was sent; an empty list is nothing in its bytes. */
export function withoutEmptyLists(json: string): unknown {
  return JSON.parse(json, (_, value: unknown) =>
    Array.isArray(value) && value.length === 0 ? undefined : value,
  );
}

/** `Buffer` turns itself into an object before a replacer sees it. */
function hexOf(value: unknown): string | undefined {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: number[] };
  return type === 'Buffer' && data !== undefined ? Buffer.from(data).toString('hex') : undefined;
}
