import { exactJson, parseExactJson } from '../../core/exact-json.js';
import { readNumber } from '../../core/values.js';

/** One event as a hook received it. */
export type SpoolRecord = {
  /** A UUID of this record; a record that was written twice keeps it. */
  id: string;
  /** When the hook received it: nanoseconds since 1970, as a decimal number. */
  at: string;
  /** The CLI that sent it, as the hook's first argument names it. */
  cli: string;
  /** The event's name where the hook's second argument gives it. */
  event?: string;
  /** What the environment said about the trace this belongs to; redacted. */
  env?: Record<string, string>;
  /** What the CLI sent, redacted and cut. Absent when it was no JSON. */
  payload?: unknown;
  /** Why there is no payload, or only a part of it. */
  problem?: 'unreadable' | 'too_large';
  /** What the hook read, in bytes. */
  bytes: number;
};

/** What telemetry, and rows of services, are called in the spool, where hooks have the name of their CLI. */
export const telemetryCli = 'otlp';
export const writerCli = 'writer';

/** When a record was received, in milliseconds since 1970. */
export const atMsOf = ({ at }: SpoolRecord): number => readNumber(String(BigInt(at) / 1_000_000n));

/**
 * A frame is `magic`, the length of the body and its checksum (both 32 bits, little endian), and the body: the record as
 * JSON. The magic begins with a control character, which JSON escapes: it does not occur in a body.
 */
const magic = Buffer.from('\u001eTC1', 'latin1');
const headerBytes = magic.length + 8;

/** A longer body was never written: its length field is not one. */
export const longestBody = 16 * 1024 * 1024;

export function encodeFrame(record: SpoolRecord): Buffer {
  return frameOf([exactJson(record)]);
}

/**
 * @param payload JSON, in UTF-8 where it is bytes
 * @param around memory that the payload's bytes stand in, and nobody else uses: where it has room before and behind them,
 *   the frame is made in place. Of a long event that saves a copy, and touching as much memory once more.
 */
export function encodeFrameOf(
  record: SpoolRecord,
  payload: string | Buffer,
  around?: Buffer,
): Buffer {
  const head = `${JSON.stringify(record).slice(0, -1)},"payload":`;
  if (around && typeof payload !== 'string') {
    const bodyStart = payload.byteOffset - around.byteOffset - Buffer.byteLength(head);
    const end = payload.byteOffset - around.byteOffset + payload.length;
    if (bodyStart >= headerBytes && end < around.length) {
      around.write(head, bodyStart);
      around.write('}', end);
      writeHeader(around, bodyStart, end + 1);
      return around.subarray(bodyStart - headerBytes, end + 1);
    }
  }
  return frameOf([head, payload, '}']);
}

function frameOf(body: readonly (string | Buffer)[]): Buffer {
  // Three bytes a character at most: memory that is not written to costs less than counting the bytes first.
  const most = body.reduce((sum, { length }) => sum + 3 * length, headerBytes);
  const room = Buffer.allocUnsafeSlow(most);
  return room.subarray(0, writeFrame(room, 0, body));
}

/** The frames of many records, of which each is given as JSON. */
export function joinedFrames(bodies: readonly string[]): Buffer {
  const bytes = bodies.reduce((sum, body) => sum + headerBytes + Buffer.byteLength(body), 0);
  const room = Buffer.allocUnsafeSlow(bytes);
  let end = 0;
  for (const body of bodies) end = writeFrame(room, end, [body]);
  return room;
}

/** @returns where it ends */
function writeFrame(room: Buffer, start: number, body: readonly (string | Buffer)[]): number {
  const bodyStart = start + headerBytes;
  let end = bodyStart;
  for (const part of body)
    end += typeof part === 'string' ? room.write(part, end) : part.copy(room, end);
  writeHeader(room, bodyStart, end);
  return end;
}

/** Before a body that stands in `room`. */
function writeHeader(room: Buffer, bodyStart: number, end: number): void {
  const start = bodyStart - headerBytes;
  magic.copy(room, start);
  room.writeUInt32LE(end - bodyStart, start + magic.length);
  room.writeUInt32LE(checksum(room.subarray(bodyStart, end)), start + magic.length + 4);
}

export type Decoded = {
  records: SpoolRecord[];
  /** How many bytes are done with. */
  consumed: number;
  /** Frames that a killed writer left in part, and their bytes. */
  torn: number;
  tornBytes: number;
};

/**
 * Reads the frames at the beginning of `bytes`, which reach to the end of the file. Where a frame is not whole, reading
 * goes on at the next one that is: a later writer has appended behind the torn one. Without a later one the rest is left:
 * its writer may still be at it, unless the segment is `closed`.
 *
 * @param most records at most
 */
export function decodeFrames(bytes: Buffer, closed: boolean, most: number): Decoded {
  const result: Decoded = { records: [], consumed: 0, torn: 0, tornBytes: 0 };
  while (result.consumed < bytes.length && result.records.length < most) {
    const frame = frameAt(bytes, result.consumed);
    if (frame !== undefined) {
      result.records.push(frame.record);
      result.consumed = frame.end;
      continue;
    }
    const next = nextFrame(bytes, result.consumed + 1) ?? (closed ? bytes.length : undefined);
    if (next === undefined) break;
    result.torn += 1;
    result.tornBytes += next - result.consumed;
    result.consumed = next;
  }
  return result;
}

function nextFrame(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(magic, from); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    if (frameAt(bytes, at) !== undefined) return at;
  }
  return undefined;
}

function frameAt(bytes: Buffer, at: number): { record: SpoolRecord; end: number } | undefined {
  const start = at + headerBytes;
  if (start > bytes.length || bytes.compare(magic, 0, magic.length, at, at + magic.length) !== 0) {
    return undefined;
  }
  const length = bytes.readUInt32LE(at + magic.length);
  const end = start + length;
  if (length > longestBody || end > bytes.length) return undefined;
  const body = bytes.subarray(start, end);
  if (checksum(body) !== bytes.readUInt32LE(at + magic.length + 4)) return undefined;
  try {
    return { record: parseExactJson(body.toString('utf8')) as SpoolRecord, end };
  } catch {
    return undefined;
  }
}

/**
 * The words of a body, multiplied and folded: of a long one two of each sector of a disk, and its last ones. What it has to
 * find is a body of which a part was never written, and code that has just started takes 1 ms for 6,000 words.
 */
function checksum(body: Buffer): number {
  const { buffer, byteOffset, length } = body;
  const view = new DataView(buffer, byteOffset, length);
  const words = length >> 2;
  const dense = words - wordsBetween;
  let sum = length;
  let index = 0;
  for (; index < dense; index += wordsBetween) sum = fold(sum, view.getInt32(index * 4, true));
  for (index = Math.max(0, dense); index < words; index += 1)
    sum = fold(sum, view.getInt32(index * 4, true));
  for (index = words * 4; index < length; index += 1) sum = fold(sum, body[index] ?? 0);
  return sum >>> 0;
}

/** 256 bytes. */
const wordsBetween = 64;

function fold(sum: number, value: number): number {
  const product = Math.imul(sum ^ value, 0x5bd1e995);
  return product ^ (product >>> 15);
}
