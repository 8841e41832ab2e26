import { parseExactJson, roundedNumber } from '../../core/exact-json.js';
import { spanKinds, type ArchivedTable, type SpanKind } from '../../core/tables.js';
import { byOwnKey, isObject, objectOf, setOwnKey } from '../../core/values.js';
import { exactInteger, hexOf, millisecondsOf, numberOf, stringOf } from '../sources/source.js';
import protobuf from 'protobufjs';

/** Attributes of a span, a log record or a resource: values of JSON. */
export type Attributes = Readonly<Record<string, unknown>>;

/** Who sent it: a service and the library in it. */
export type Origin = { resource: Attributes; scope?: string | undefined };

/** Times are milliseconds since 1970, ids lower-case hexadecimal. */
export type TelemetrySpan = Origin & {
  traceId: string;
  spanId: string;
  parentSpanId?: string | undefined;
  name: string;
  kind?: SpanKind | undefined;
  startedAt: number;
  /** Undefined: it has not ended. */
  endedAt?: number | undefined;
  isError: boolean;
  message?: string | undefined;
  attributes: Attributes;
  events: readonly { name: string; at: number; attributes: Attributes }[];
  /** The row that a console has exported. */
  row?: CopiedRow | undefined;
};

export type CopiedRow = { table: ArchivedTable; values: Readonly<Record<string, unknown>> };

export type TelemetryLog = Origin & {
  at: number;
  event?: string | undefined;
  body?: unknown;
  traceId?: string | undefined;
  spanId?: string | undefined;
  attributes: Attributes;
};

/** A data point of a sum. */
export type TelemetryPoint = Origin & {
  metric: string;
  /** Undefined: nobody told. */
  startedAt?: number | undefined;
  at: number;
  /** It counts from its start on; else from the point before. */
  isCumulative: boolean;
  value: number;
  attributes: Attributes;
};

/** What a request holds. */
export type Telemetry = {
  spans: TelemetrySpan[];
  logs: TelemetryLog[];
  points: TelemetryPoint[];
  /** Data points of other metrics, of which nothing is read. */
  otherPoints: number;
  /** Spans and log records without what identifies them. */
  rejected: number;
};

export const isAny = ({ spans, logs, points, otherPoints }: Telemetry): boolean =>
  spans.length + logs.length + points.length + otherPoints > 0;

const mostAttributes = 128;
const mostEvents = 64;
const mostValues = 1_000;
const deepestValue = 16;

export type Encoding = 'json' | 'protobuf';

/**
 * Reads an OTLP request.
 *
 * @throws Error for what is no request
 */
export function decodeRequest(signal: Signal, bytes: Uint8Array, encoding: Encoding): Telemetry {
  if (encoding === 'protobuf') return telemetryOf(decodeProtobuf(signal, bytes));
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const value = parseExactJson(text.replace(/^\uFEFF/, ''));
  // Unknown fields are passed over; a request of which nothing is known was meant for somebody else.
  if (!isObject(value) || !(isRequest(value) || Object.keys(value).length === 0)) {
    throw new Error('This is no request.');
  }
  return telemetryOf(value);
}

/** Whether an object is a request of any signal. */
export const isRequest = (value: object): boolean =>
  ['resourceSpans', 'resourceLogs', 'resourceMetrics'].some((key) => Object.hasOwn(value, key));

/** A request in the shape of OTLP/JSON; what is unknown in it is passed over. */
export function telemetryOf(request: Record<string, unknown>): Telemetry {
  const telemetry: Telemetry = { spans: [], logs: [], points: [], otherPoints: 0, rejected: 0 };
  for (const [origin, span] of itemsOf(request.resourceSpans, 'scopeSpans', 'spans')) {
    const read = spanOf(span, origin);
    if (read) telemetry.spans.push(read);
    else telemetry.rejected += 1;
  }
  for (const [origin, log] of itemsOf(request.resourceLogs, 'scopeLogs', 'logRecords')) {
    const read = logOf(log, origin);
    if (read) telemetry.logs.push(read);
    else telemetry.rejected += 1;
  }
  for (const [origin, metric] of itemsOf(request.resourceMetrics, 'scopeMetrics', 'metrics')) {
    const points = sumPoints(metric, origin);
    telemetry.otherPoints += pointsOf(metric) - points.length;
    // One by one: a request may hold more than a call takes arguments.
    for (const point of points) telemetry.points.push(point);
  }
  return telemetry;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : none);
const none: readonly never[] = [];

function* itemsOf(
  resources: unknown,
  scopes: 'scopeSpans' | 'scopeLogs' | 'scopeMetrics',
  items: 'spans' | 'logRecords' | 'metrics',
): Generator<[Origin, Record<string, unknown>]> {
  for (const each of listOf(resources).map(objectOf)) {
    const resource = attributesOf(objectOf(each.resource).attributes);
    for (const one of listOf(each[scopes]).map(objectOf)) {
      const origin = { resource, scope: stringOf(objectOf(one.scope).name) };
      for (const item of listOf(one[items])) yield [origin, objectOf(item)];
    }
  }
}

const kindsOfMetric = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] as const;

/** A metric without a known kind of points counts as one. */
function pointsOf(metric: Record<string, unknown>): number {
  const points = kindsOfMetric.map((kind) => listOf(objectOf(metric[kind]).dataPoints).length);
  return Math.max(
    1,
    points.reduce((sum, count) => sum + count, 0),
  );
}

/** Those of a sum that have a time and a value. */
function sumPoints(metric: Record<string, unknown>, origin: Origin): TelemetryPoint[] {
  const sum = objectOf(metric.sum);
  const name = stringOf(metric.name);
  // JSON may name it.
  const temporality = /^(?:AGGREGATION_TEMPORALITY_)?(?:(1|DELTA)|2|CUMULATIVE)$/.exec(
    String(roundedNumber(sum.aggregationTemporality)),
  );
  if (name === undefined || temporality === null) return [];
  const isCumulative = temporality[1] === undefined;
  return listOf(sum.dataPoints)
    .map(objectOf)
    .flatMap((point) => {
      const at = millisecondsOf(point.timeUnixNano);
      const told = isSent(point, 'asInt') ? exactInteger(point.asInt) : point.asDouble;
      const value = numberOf(told);
      if (at === undefined || value === undefined) return [];
      const attributes = attributesOf(point.attributes);
      const startedAt = millisecondsOf(point.startTimeUnixNano);
      return [{ ...origin, metric: name, isCumulative, startedAt, at, value, attributes }];
    });
}

function spanOf(span: Record<string, unknown>, origin: Origin): TelemetrySpan | undefined {
  const [traceId, spanId] = [hexOf(span.traceId, 16), hexOf(span.spanId, 8)];
  const startedAt = millisecondsOf(span.startTimeUnixNano);
  if (traceId === undefined || spanId === undefined || startedAt === undefined) return undefined;
  const endedAt = millisecondsOf(span.endTimeUnixNano);
  const { code, message } = objectOf(span.status);
  const { attributes, row } = withoutRow(attributesOf(span.attributes));
  return {
    resource: origin.resource,
    scope: origin.scope,
    traceId,
    spanId,
    parentSpanId: hexOf(span.parentSpanId, 8),
    name: stringOf(span.name) ?? 'span',
    kind: kindOf(span.kind),
    startedAt,
    endedAt: endedAt === undefined ? undefined : Math.max(endedAt, startedAt),
    isError: code === 2 || code === 'STATUS_CODE_ERROR',
    message: stringOf(message),
    attributes,
    row,
    events: listOf(span.events)
      .slice(0, mostEvents)
      .map(objectOf)
      .map((event) => ({
        name: stringOf(event.name) ?? 'event',
        at: millisecondsOf(event.timeUnixNano) ?? startedAt,
        attributes: attributesOf(event.attributes),
      })),
  };
}

/** By what `trace_console.kind` says. */
const tablesOfKinds: ReadonlyMap<unknown, ArchivedTable> = new Map([
  ['trace', 'execution_traces'],
  ['routing', 'agent_routing_decisions'],
  ['hook', 'hook_executions'],
  ['call', 'endpoint_calls'],
]);

/** `export otlp` gives each span its row as a JSON: a value, from here on, in which secrets are found by their names. */
function withoutRow(attributes: Attributes): Pick<TelemetrySpan, 'attributes' | 'row'> {
  const json = attributes['trace_console.row'];
  const table = tablesOfKinds.get(attributes['trace_console.kind']);
  if (table === undefined || typeof json !== 'string') return { attributes };
  try {
    const values = objectOf(parseExactJson(json));
    const others = { ...attributes, 'trace_console.row': undefined };
    if (typeof values.id === 'string') return { attributes: others, row: { table, values } };
  } catch {
    // It is an attribute as others are.
  }
  return { attributes };
}

/** JSON may name it: `SPAN_KIND_SERVER`. */
export function kindOf(told: unknown): SpanKind | undefined {
  const named = typeof told === 'string' ? told.replace(/^SPAN_KIND_/, '').toLowerCase() : '';
  const kind = typeof told === 'number' ? spanKinds[told] : spanKinds.find((one) => one === named);
  return kind === '' ? undefined : kind;
}

function logOf(log: Record<string, unknown>, origin: Origin): TelemetryLog | undefined {
  const at = millisecondsOf(log.timeUnixNano) ?? millisecondsOf(log.observedTimeUnixNano);
  if (at === undefined) return undefined;
  const attributes = attributesOf(log.attributes);
  return {
    ...origin,
    at,
    event: stringOf(log.eventName) ?? stringOf(attributes['event.name']),
    body: valueOf(log.body, 0),
    traceId: hexOf(log.traceId, 16),
    spanId: hexOf(log.spanId, 8),
    attributes,
  };
}

/** Later values of a name win. */
function attributesOf(list: unknown): Attributes {
  const attributes: Record<string, unknown> = {};
  for (const item of firstOf(list, mostAttributes)) {
    const { key, value } = objectOf(item);
    if (typeof key === 'string' && key !== '') {
      setOwnKey(attributes, key.slice(0, 256), valueOf(value, 0));
    }
  }
  return attributes;
}

/** Most lists are short: they are not copied. */
function firstOf(value: unknown, most: number): readonly unknown[] {
  const list = listOf(value);
  return list.length > most ? list.slice(0, most) : list;
}

/** Protobuf's decoder gives every field a default in the prototype: only what was sent is its own. */
const isSent = (any: Record<string, unknown>, field: string): boolean =>
  (byOwnKey(any, field) ?? null) !== null;

// Called for each attribute of each span: it makes nothing but what it returns.
function valueOf(value: unknown, depth: number): unknown {
  const any = objectOf(value);
  if (isSent(any, 'stringValue')) return String(any.stringValue);
  if (isSent(any, 'boolValue')) return any.boolValue === true;
  if (isSent(any, 'intValue')) return exactInteger(any.intValue);
  if (isSent(any, 'doubleValue')) {
    const double = roundedNumber(any.doubleValue);
    return numberOf(double) ?? String(double);
  }
  if (isSent(any, 'bytesValue')) return '[bytes]';
  if (depth >= deepestValue) return '[too deep]';
  if (isSent(any, 'arrayValue')) {
    const { values } = objectOf(any.arrayValue);
    return firstOf(values, mostValues).map((each) => valueOf(each, depth + 1));
  }
  if (!isSent(any, 'kvlistValue')) return null;
  const object: Record<string, unknown> = {};
  for (const item of firstOf(objectOf(any.kvlistValue).values, mostValues)) {
    const { key, value: inner } = objectOf(item);
    setOwnKey(object, stringOf(key) ?? '', valueOf(inner, depth + 1));
  }
  return object;
}

/** The messages of OTLP (opentelemetry-proto 1.x) that are read, and their fields. Others are skipped by the decoder. */
type Fields = Readonly<Record<string, readonly [id: number, type: string, repeated?: 'repeated']>>;

export const messages: Readonly<Record<string, Fields>> = {
  AnyValue: {
    stringValue: [1, 'string'],
    boolValue: [2, 'bool'],
    intValue: [3, 'int64'],
    doubleValue: [4, 'double'],
    arrayValue: [5, 'ArrayValue'],
    kvlistValue: [6, 'KeyValueList'],
    bytesValue: [7, 'bytes'],
  },
  ArrayValue: { values: [1, 'AnyValue', 'repeated'] },
  KeyValueList: { values: [1, 'KeyValue', 'repeated'] },
  KeyValue: { key: [1, 'string'], value: [2, 'AnyValue'] },
  Resource: { attributes: [1, 'KeyValue', 'repeated'] },
  Scope: { name: [1, 'string'], version: [2, 'string'] },
  Status: { message: [2, 'string'], code: [3, 'int32'] },
  Event: {
    timeUnixNano: [1, 'fixed64'],
    name: [2, 'string'],
    attributes: [3, 'KeyValue', 'repeated'],
  },
  Span: {
    traceId: [1, 'bytes'],
    spanId: [2, 'bytes'],
    parentSpanId: [4, 'bytes'],
    name: [5, 'string'],
    kind: [6, 'int32'],
    startTimeUnixNano: [7, 'fixed64'],
    endTimeUnixNano: [8, 'fixed64'],
    attributes: [9, 'KeyValue', 'repeated'],
    events: [11, 'Event', 'repeated'],
    status: [15, 'Status'],
  },
  ScopeSpans: { scope: [1, 'Scope'], spans: [2, 'Span', 'repeated'] },
  ResourceSpans: { resource: [1, 'Resource'], scopeSpans: [2, 'ScopeSpans', 'repeated'] },
  traces: { resourceSpans: [1, 'ResourceSpans', 'repeated'] },
  LogRecord: {
    timeUnixNano: [1, 'fixed64'],
    body: [5, 'AnyValue'],
    attributes: [6, 'KeyValue', 'repeated'],
    traceId: [9, 'bytes'],
    spanId: [10, 'bytes'],
    observedTimeUnixNano: [11, 'fixed64'],
    eventName: [12, 'string'],
  },
  ScopeLogs: { scope: [1, 'Scope'], logRecords: [2, 'LogRecord', 'repeated'] },
  ResourceLogs: { resource: [1, 'Resource'], scopeLogs: [2, 'ScopeLogs', 'repeated'] },
  logs: { resourceLogs: [1, 'ResourceLogs', 'repeated'] },
  Point: {},
  Points: { dataPoints: [1, 'Point', 'repeated'] },
  NumberPoint: {
    startTimeUnixNano: [2, 'fixed64'],
    timeUnixNano: [3, 'fixed64'],
    asDouble: [4, 'double'],
    asInt: [6, 'sfixed64'],
    attributes: [7, 'KeyValue', 'repeated'],
  },
  Sum: { dataPoints: [1, 'NumberPoint', 'repeated'], aggregationTemporality: [2, 'int32'] },
  Metric: {
    name: [1, 'string'],
    gauge: [5, 'Points'],
    sum: [7, 'Sum'],
    histogram: [9, 'Points'],
    exponentialHistogram: [10, 'Points'],
    summary: [11, 'Points'],
  },
  ScopeMetrics: { scope: [1, 'Scope'], metrics: [2, 'Metric', 'repeated'] },
  ResourceMetrics: { resource: [1, 'Resource'], scopeMetrics: [2, 'ScopeMetrics', 'repeated'] },
  metrics: { resourceMetrics: [1, 'ResourceMetrics', 'repeated'] },
};

/** What a request brings: `/v1/traces`, `/v1/logs`, `/v1/metrics`. */
export const signals = ['traces', 'logs', 'metrics'] as const;
export type Signal = (typeof signals)[number];

let types: protobuf.Root | undefined;

function root(): protobuf.Root {
  types ??= protobuf.Root.fromJSON({
    nested: Object.fromEntries(
      Object.entries(messages).map(([name, fields]) => [
        name,
        {
          // A value that is zero, false or empty is one: in a oneof it is there when it was sent.
          ...(name === 'AnyValue' ? { oneofs: { value: { oneof: Object.keys(fields) } } } : {}),
          fields: Object.fromEntries(
            Object.entries(fields).map(([field, [id, type, rule]]) => [
              field,
              rule === undefined ? { id, type } : { id, type, rule },
            ]),
          ),
        },
      ]),
    ),
  });
  return types;
}

/** A request as protobuf, in the shape of its JSON. @throws Error for bytes that are no such message */
function decodeProtobuf(signal: Signal, bytes: Uint8Array): Record<string, unknown> {
  const reader = protobuf.Reader.create(bytes);
  // Else each field that is not known is kept, as an object.
  reader.discardUnknown = true;
  return root().lookupType(signal).decode(reader);
}
