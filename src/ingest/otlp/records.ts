import { randomUUID } from 'node:crypto';
import type http from 'node:http';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { exactJson } from '../../core/exact-json.js';
import { withSeparators } from '../../core/format/number.js';
import type { AgentEvent } from '../events.js';
import { redact } from '../redact.js';
import { joinedFrames, telemetryCli, type SpoolRecord } from '../spool/frame.js';
import {
  decodeRequest,
  isAny,
  messages,
  signals,
  type Attributes,
  type Encoding,
  type Origin,
  type Signal,
  type Telemetry,
  type TelemetryLog,
  type TelemetrySpan,
} from './decode.js';
import type { Figure } from './kept-trace.js';
import { figureAt, figureOf, isOfProgram, logEvents, programSpanEvents } from './log-events.js';

/** A longer one keeps only short attributes (UTF-16 units of its JSON). */
const longestRecord = 1 << 20;
const longestKept = 1_024;

/** Spans, log records and the data points that are kept as the spool holds them: one record each, without secrets. */
export function telemetryRecords(telemetry: Telemetry, nowMs: number): SpoolRecord[] {
  // All spans of a service share what is said of it.
  const resources = new Map<Attributes, Attributes>();
  const clean = <Item extends Origin>(item: Item): Item => {
    const { resource } = item;
    const known = resources.get(resource) ?? (redact(resource) as Attributes);
    resources.set(resource, known);
    return { ...(redact({ ...item, resource: {} }) as Item), resource: known };
  };
  return [
    ...telemetry.spans.map((span) => recordOf('span', clean(span), nowMs)),
    ...telemetry.logs.map((log) => recordOf('log', clean(log), nowMs)),
    ...telemetry.points
      .flatMap((point) => figureAt(point) ?? [])
      .map((figure) => recordOf('figure', redact(figure) as Figure, nowMs)),
  ];
}

/** What a record tells: a span that is kept until its trace can be written, a figure, or events; undefined events: nobody knows. */
export function toldBy({ event, payload }: SpoolRecord): {
  span?: TelemetrySpan;
  events?: readonly AgentEvent[] | undefined;
  figure?: Figure;
} {
  if (event === 'figure') return { figure: payload as Figure };
  if (event === 'log') return { events: logEvents(payload as TelemetryLog) };
  if (event !== 'span') return {};
  const span = payload as TelemetrySpan;
  return isOfProgram(span) ? { events: programSpanEvents(span) } : { span };
}

/** A write of the spool holds no more (UTF-16 units), so that its files stay small. */
const mostAtOnce = 4 << 20;

/** Records as the spool takes them, in as few writes as its files allow. */
export function framesOf(records: readonly SpoolRecord[]): Buffer[] {
  const writes: string[][] = [[]];
  let length = 0;
  for (const record of records) {
    const whole = exactJson(record);
    const body = whole.length <= longestRecord ? whole : exactJson(shortened(record));
    if (length + body.length > mostAtOnce && length > 0) {
      writes.push([]);
      length = 0;
    }
    writes.at(-1)?.push(body);
    length += body.length;
  }
  return writes.filter((bodies) => bodies.length > 0).map(joinedFrames);
}

function recordOf(
  event: string,
  item: TelemetrySpan | TelemetryLog | Figure,
  nowMs: number,
): SpoolRecord {
  return {
    id: randomUUID(),
    at: `${nowMs}000000`,
    cli: telemetryCli,
    event,
    payload: item,
    bytes: 0,
  };
}

function shortened(record: SpoolRecord): SpoolRecord {
  const item = record.payload as TelemetrySpan | TelemetryLog;
  const short = Object.entries(item.attributes).filter(([, value]) =>
    typeof value === 'string' ? value.length <= longestKept : typeof value !== 'object',
  );
  const payload = { ...item, attributes: Object.fromEntries(short), events: [], body: null };
  return { ...record, payload, problem: 'too_large' };
}

const itemNames = { traces: 'Spans', logs: 'LogRecords', metrics: 'DataPoints' } as const;

const reasons = {
  unidentified: 'without an id or a time',
  metrics:
    'not stored: of metrics only lines, commits, pull requests and active time of Claude Code are',
} as const;

/** How many data points of a request are not kept. */
export const refusedPoints = ({ points, otherPoints }: Telemetry): number =>
  otherPoints + points.filter((point) => figureOf(point) === undefined).length;

/** `Export…ServiceResponse`: empty, or with how much was left out, and why. */
export function resultOf(
  telemetry: Telemetry,
  asked: Signal | undefined,
  encoding: Encoding,
): Buffer {
  const points = refusedPoints(telemetry);
  const signal = points > 0 ? 'metrics' : (asked ?? 'traces');
  const rejected = telemetry.rejected + points;
  const message = points > 0 ? reasons.metrics : reasons.unidentified;
  if (encoding === 'json') {
    if (rejected === 0) return Buffer.from('{}');
    const left = { [`rejected${itemNames[signal]}`]: String(rejected), errorMessage: message };
    return Buffer.from(JSON.stringify({ partialSuccess: left }));
  }
  if (rejected === 0) return Buffer.alloc(0);
  const text = Buffer.from(message);
  const partial = Buffer.concat([
    Buffer.from([0x08, ...varint(rejected), 0x12, text.length]),
    text,
  ]);
  return Buffer.concat([Buffer.from([0x0a, partial.length]), partial]);
}

function varint(value: number): number[] {
  const rest = Math.floor(value / 128);
  return rest === 0 ? [value] : [(value % 128) + 128, ...varint(rest)];
}

/** A request holds so many objects at most: spans, points, attributes, values. An SDK sends some ten thousand at once. */
const mostObjects = 1_000_000;

/** The shortest of them: an empty message with its tag, a digit with its comma (bytes). */
const shortest = 2;

/**
 * The decoders make all objects of a request before anything of it can be counted: what has too many is refused before.
 *
 * @throws Refusal
 */
export function refuseTooMany(body: Buffer, encoding: Encoding, signal: Signal = 'traces'): void {
  if (body.length <= mostObjects * shortest) return;
  const isTooMany = encoding === 'json' ? hasManyInJson(body) : hasManyMessages(signal, body);
  if (!isTooMany) return;
  throw new Refusal(
    413,
    `A request holds ${withSeparators(mostObjects)} spans, points, attributes and values at most: send less at a time.`,
  );
}

const [quote, backslash, brace, bracket] = [0x22, 0x5c, 0x7b, 0x5b];
const [comma, closingBrace, closingBracket, space] = [0x2c, 0x7d, 0x5d, 0x20];

/** Counts what opens, and the commas behind numbers, texts and the like: the last of these in an object or array comes with that. */
function hasManyInJson(body: Buffer): boolean {
  let count = 0;
  let isText = false;
  let before = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
    if (byte === quote) isText = !isText;
    else if (isText && byte === backslash) at += 1;
    else if (!isText && (byte === brace || byte === bracket)) count += 1;
    else if (!isText && byte === comma && before !== closingBrace && before !== closingBracket)
      count += 1;
    if (count > mostObjects) return true;
    if (byte > space) before = byte;
  }
  return false;
}

/** The messages within each message, by the number of their field. */
const inner = new Map(
  Object.entries(messages).map(([name, fields]) => [
    name,
    new Map(
      Object.values(fields).flatMap(([id, type]) =>
        Object.hasOwn(messages, type) ? [[id, type] as const] : [],
      ),
    ),
  ]),
);

/** Walks over the bytes as the decoder does, and makes nothing. What is no message is left to the decoder, which says so. */
function hasManyMessages(signal: Signal, body: Buffer): boolean {
  const open: { fields: Map<number, string> | undefined; end: number }[] = [
    { fields: inner.get(signal), end: body.length },
  ];
  let [at, count, groups] = [0, 0, 0];
  const number = () => {
    let value = 0;
    for (let shift = 0; at < body.length; shift += 7) {
      const byte = body[at] ?? 0;
      at += 1;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value >>> 0;
  };
  for (let message = open.at(-1); message !== undefined; message = open.at(-1)) {
    if (at >= message.end) {
      open.pop();
      continue;
    }
    const tag = number();
    const wire = tag & 7;
    if (wire === 0) number();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 3) groups += 1;
    else if (wire === 4) groups -= 1;
    else if (wire !== 2) return false;
    else {
      const length = number();
      const type = groups > 0 ? undefined : message.fields?.get(tag >>> 3);
      if (at + length > message.end || groups < 0) return false;
      if (type === undefined) at += length;
      else {
        count += 1;
        if (count > mostObjects) return true;
        open.push({ fields: inner.get(type), end: at + length });
      }
    }
  }
  return false;
}

/** A request unpacks to so many bytes at most. */
const mostUnpacked = 32 << 20;

/** What a sender is answered whose request is not taken. */
export class Refusal extends Error {
  readonly status: number;
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfterSeconds?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfterSeconds;
  }
}

export const contentTypes: Readonly<Record<Encoding, string>> = {
  json: 'application/json',
  protobuf: 'application/x-protobuf',
};

export function encodingOf({ headers }: http.IncomingMessage): Encoding {
  const type = (headers['content-type'] ?? '').replace(/;.*$/, '').trim().toLowerCase();
  if (type === contentTypes.json) return 'json';
  if (type === contentTypes.protobuf || type === 'application/protobuf') return 'protobuf';
  throw new Refusal(415, 'The content type is application/x-protobuf or application/json.');
}

const unpackers = { gzip: promisify(zlib.gunzip), deflate: promisify(zlib.inflate) } as const;

export async function unpacked({ headers }: http.IncomingMessage, body: Buffer): Promise<Buffer> {
  // `identity` may stand in a list; `x-gzip` is what HTTP/1.0 called gzip.
  const packings = (headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((each) => each.trim().replace(/^x-gzip$/, 'gzip'))
    .filter((each) => each !== '' && each !== 'identity');
  const [packing] = packings;
  if (packing === undefined) return body;
  if ((packing !== 'gzip' && packing !== 'deflate') || packings.length > 1) {
    throw new Refusal(415, 'The content encoding is gzip, deflate or none.');
  }
  try {
    return await unpackers[packing](body, { maxOutputLength: mostUnpacked });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new Refusal(413, `A request holds ${mostUnpacked} bytes at most when unpacked.`);
    }
    throw new Refusal(400, `The body is no ${packing}.`);
  }
}

export function decoded(signal: Signal | undefined, body: Buffer, encoding: Encoding): Telemetry {
  for (const each of signal === undefined ? signals : [signal]) {
    refuseTooMany(body, encoding, each);
    try {
      const telemetry = decodeRequest(each, body, encoding);
      if (signal !== undefined || encoding === 'json') return telemetry;
      // Bytes do not say which message they are: of another one nothing is left.
      if (isAny(telemetry) || body.length <= 2) return telemetry;
    } catch {
      // Not this one.
    }
  }
  throw new Refusal(
    400,
    'The body is no OTLP request: protobuf, or JSON with resourceSpans, resourceLogs or resourceMetrics.',
  );
}
