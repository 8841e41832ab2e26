/**
 * Bytes received but not yet consumed, as the pieces they came in: a message of megabytes that
 * arrives in thousands of pieces is joined once, not once a piece.
 */
export class ByteQueue {
  #pieces: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The first `count` bytes without consuming them; undefined when fewer are there. */
  peek(count: number): Buffer | undefined {
    const first = this.#pieces[0];
    if (count > this.#length) return undefined;
    if (first === undefined) return Buffer.alloc(0);
    if (first.length >= count) return first.subarray(0, count);
    const head = Buffer.allocUnsafe(count);
    let copied = 0;
    for (const piece of this.#pieces) {
      copied += piece.copy(head, copied, 0, Math.min(piece.length, count - copied));
      if (copied === count) break;
    }
    return head;
  }

  /** Consumes exactly `count` bytes; undefined when fewer are there. */
  take(count: number): Buffer | undefined {
    if (count > this.#length) return undefined;
    const first = this.#pieces[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length < count) this.#pieces = [Buffer.concat(this.#pieces)];
    const whole = this.#pieces[0] ?? first;
    const taken = whole.subarray(0, count);
    if (whole.length === count) this.#pieces.shift();
    else this.#pieces[0] = whole.subarray(count);
    this.#length -= count;
    return taken;
  }

  clear(): void {
    this.#pieces = [];
    this.#length = 0;
  }
}

/** A message of the PostgreSQL wire protocol, type byte and length included. */
export type Frame = {
  /** The type as a letter, "Q" for a simple query. */
  type: string;
  bytes: Buffer;
};

/** The peer broke the protocol: the connection cannot go on. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

const headerBytes = 5;

/** Cuts a stream of bytes into messages, wherever the network has split it. */
export class FrameSplitter {
  readonly #queue = new ByteQueue();
  readonly #largest: number;

  /** @param largest size in bytes above which a message is refused as a violation. */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** Bytes waiting for the rest of their message. */
  get pending(): number {
    return this.#queue.length;
  }

  push(piece: Buffer): void {
    this.#queue.push(piece);
  }

  /** The next whole message; undefined until more bytes come. */
  next(): Frame | undefined {
    const header = this.#queue.peek(headerBytes);
    if (header === undefined) return undefined;
    const length = header.readInt32BE(1);
    if (length < 4 || length >= this.#largest) {
      throw new ProtocolViolation(`invalid message length ${length}`);
    }
    const type = String.fromCharCode(header[0] ?? 0);
    const bytes = this.#queue.take(length + 1);
    return bytes && { type, bytes };
  }
}

/** A message of the given type around a body. */
export function frame(type: string, ...body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 4);
  const header = Buffer.allocUnsafe(headerBytes);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(length, 1);
  return Buffer.concat([header, ...body]);
}

/** A string as the protocol has it: UTF-8 with a zero byte at its end. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value, 0);
  return bytes;
}

/** Reads the zero-terminated string at `from`; `end` is the offset after its zero byte. */
export function readCString(bytes: Buffer, from: number): { raw: Buffer; end: number } {
  const zero = bytes.indexOf(0, from);
  if (zero < 0) throw new ProtocolViolation('a string without its end');
  return { raw: bytes.subarray(from, zero), end: zero + 1 };
}

/** Transaction status of ReadyForQuery: idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** What an ErrorResponse or NoticeResponse carries. */
export type Report = {
  severity: 'ERROR' | 'FATAL' | 'WARNING';
  /** SQLSTATE, five characters. */
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  /** Where it comes from, in no language: a server names its function here. */
  routine?: string;
};

function reportBody(report: Report): Buffer[] {
  const fields = [
    `S${report.severity}`,
    `V${report.severity}`,
    `C${report.code}`,
    `M${report.message}`,
    ...(report.detail === undefined ? [] : [`D${report.detail}`]),
    ...(report.hint === undefined ? [] : [`H${report.hint}`]),
    ...(report.routine === undefined ? [] : [`R${report.routine}`]),
  ];
  return [...fields.map(cString), Buffer.from([0])];
}

export const errorResponse = (report: Report): Buffer => frame('E', ...reportBody(report));
export const noticeResponse = (report: Report): Buffer => frame('N', ...reportBody(report));

export const readyForQuery = (status: TransactionStatus): Buffer =>
  frame('Z', Buffer.from(status, 'latin1'));

export const authenticationOk = (): Buffer => frame('R', int32(0));

export const parameterStatus = (name: string, value: string): Buffer =>
  frame('S', cString(name), cString(value));

export const backendKeyData = (processId: number, secret: number): Buffer =>
  frame('K', int32(processId), int32(secret));

export const commandComplete = (tag: string): Buffer => frame('C', cString(tag));

/** Answers a request for a newer minor protocol: only 3.0 is spoken, these options are unknown. */
export const negotiateProtocolVersion = (unknownOptions: readonly string[]): Buffer =>
  frame('v', int32(0), int32(unknownOptions.length), ...unknownOptions.map(cString));

export const simpleQuery = (sql: string): Buffer => frame('Q', cString(sql));

export const sync = (): Buffer => frame('S');

/**
 * The frontend's CopyFail. The engine ignores it outside COPY FROM STDIN; inside it ends the copy
 * with an error instead of waiting for data that a single-threaded engine can never receive.
 */
export const copyFail = (reason: string): Buffer => frame('f', cString(reason));

export const closeStatement = (name: string): Buffer => frame('C', Buffer.from('S'), cString(name));

/** The parts of a Parse message that the multiplexer changes. */
export type ParseMessage = { statement: string; sql: Buffer; rest: Buffer };

const latin1 = (bytes: Buffer): string => bytes.toString('latin1');
const named = (name: string): Buffer => Buffer.from(`${name}\0`, 'latin1');

export function readParse(bytes: Buffer): ParseMessage {
  const statement = readCString(bytes, 5);
  const sql = readCString(bytes, statement.end);
  return { statement: latin1(statement.raw), sql: sql.raw, rest: bytes.subarray(sql.end) };
}

export function writeParse(message: ParseMessage): Buffer {
  return frame('P', named(message.statement), message.sql, Buffer.from([0]), message.rest);
}

/** The statement a Bind message uses, and the same message with another one. */
export function readBind(bytes: Buffer): { portal: Buffer; statement: string; rest: Buffer } {
  const portal = readCString(bytes, 5);
  const statement = readCString(bytes, portal.end);
  return {
    portal: portal.raw,
    statement: latin1(statement.raw),
    rest: bytes.subarray(statement.end),
  };
}

export function writeBind(message: { portal: Buffer; statement: string; rest: Buffer }): Buffer {
  return frame('B', message.portal, Buffer.from([0]), named(message.statement), message.rest);
}

/** A Describe or Close message: of a statement (S) or of a portal (P). */
export function readTarget(bytes: Buffer): { kind: string; name: string } {
  const kind = String.fromCharCode(bytes[5] ?? 0);
  return { kind, name: latin1(readCString(bytes, 6).raw) };
}

export function writeTarget(type: 'D' | 'C', name: string): Buffer {
  return frame(type, Buffer.from('S'), named(name));
}

/** The SQL of a simple query message. */
export function readQuery(bytes: Buffer): Buffer {
  return readCString(bytes, 5).raw;
}

export function writeQuery(sql: Buffer): Buffer {
  return frame('Q', sql, Buffer.from([0]));
}

/** The columns of a text DataRow; null where the row has null. */
export function readDataRow(bytes: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  const count = bytes.readInt16BE(5);
  let offset = 7;
  for (let index = 0; index < count; index += 1) {
    const length = bytes.readInt32BE(offset);
    offset += 4;
    if (length < 0) columns.push(null);
    else {
      columns.push(bytes.toString('utf8', offset, offset + length));
      offset += length;
    }
  }
  return columns;
}

/** NotificationResponse: its channel, and the same message from another process id. */
export function readNotification(bytes: Buffer): { channel: string } {
  return { channel: readCString(bytes, 9).raw.toString('utf8') };
}

export function notificationFrom(bytes: Buffer, processId: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeInt32BE(processId, 5);
  return copy;
}

/** Fields of an ErrorResponse or NoticeResponse by their letter (C is the SQLSTATE). */
export function readReport(bytes: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let offset = 5;
  while (offset < bytes.length && bytes[offset] !== 0) {
    const value = readCString(bytes, offset + 1);
    fields.set(String.fromCharCode(bytes[offset] ?? 0), value.raw.toString('utf8'));
    offset = value.end;
  }
  return fields;
}
