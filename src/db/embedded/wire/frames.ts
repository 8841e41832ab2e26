import { ByteQueue } from './byte-queue.js';

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
