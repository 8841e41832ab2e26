import type { Client, ClientOutput } from '../../src/embedded/mux/client.js';
import type { Multiplexer } from '../../src/embedded/mux/multiplexer.js';
import {
  cString,
  frame,
  type Frame,
  FrameSplitter,
  int32,
  readDataRow,
  readReport,
  simpleQuery,
  sync,
} from '../../src/embedded/wire.js';

/** Frontend messages, as a client of PostgreSQL writes them. */
export const message = {
  query: simpleQuery,
  sync: sync(),
  flush: frame('H'),
  terminate: frame('X'),
  parse: (sql: string, name = '') => frame('P', cString(name), cString(sql), Buffer.from([0, 0])),
  bind: (values: (string | null)[] = [], name = '', portal = '') => {
    const count = Buffer.alloc(2);
    count.writeInt16BE(values.length);
    const parameters = values.flatMap((value) => {
      if (value === null) return [int32(-1)];
      const text = Buffer.from(value);
      return [int32(text.length), text];
    });
    return frame(
      'B',
      cString(portal),
      cString(name),
      Buffer.alloc(2),
      count,
      ...parameters,
      Buffer.alloc(2),
    );
  },
  describe: (name = '') => frame('D', Buffer.from('S'), cString(name)),
  execute: (portal = '') => frame('E', cString(portal), int32(0)),
  close: (name: string) => frame('C', Buffer.from('S'), cString(name)),
  copyData: (text: string) => frame('d', Buffer.from(text)),
  copyDone: frame('c'),
};

/** Answer of the server up to a ReadyForQuery, in the words of the tests. */
export type Reply = {
  /** Message types in order: "TDCZ". */
  types: string;
  rows: (string | null)[][];
  tags: string[];
  error?: { code: string; message: string; severity: string };
  warning?: string;
  status: string;
};

/** A client of a multiplexer without a socket between them. */
export class RawClient {
  readonly received: Frame[] = [];
  readonly notifications: { processId: number; text: string }[] = [];
  ended = false;
  readonly #multiplexer: Multiplexer;
  readonly #splitter = new FrameSplitter(0x7fff_ffff);
  readonly #session: Client | undefined;
  #wake: () => void = () => undefined;

  constructor(multiplexer: Multiplexer, parameters: Record<string, string> = {}) {
    this.#multiplexer = multiplexer;
    const output: ClientOutput = {
      write: (bytes, written) => {
        this.#take(bytes);
        if (written) setImmediate(written);
      },
      end: () => this.#end(),
      destroy: () => this.#end(),
      pause: () => undefined,
      resume: () => undefined,
    };
    const all = { user: 'postgres', database: 'postgres', ...parameters };
    this.#session = multiplexer.connect(output, 0, new Map(Object.entries(all)));
  }

  get session(): Client {
    if (this.#session === undefined) throw new Error('the connection was refused');
    return this.#session;
  }

  #take(bytes: Buffer): void {
    this.#splitter.push(Buffer.from(bytes));
    for (let next = this.#splitter.next(); next; next = this.#splitter.next()) {
      if (next.type === 'A') {
        const text = next.bytes.toString('utf8', 9).split('\0').slice(0, 2).join(':');
        this.notifications.push({ processId: next.bytes.readInt32BE(5), text });
      } else this.received.push(next);
    }
    this.#wake();
  }

  #end(): void {
    this.ended = true;
    this.#wake();
  }

  send(...bytes: Buffer[]): void {
    this.#multiplexer.receive(this.session, Buffer.concat(bytes));
  }

  leave(): void {
    this.#multiplexer.disconnect(this.session);
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Takes the frames up to the first of a type ("Z": ReadyForQuery), or up to the end. */
  async until(type: string): Promise<Frame[]> {
    for (;;) {
      const at = this.received.findIndex((next) => next.type === type);
      if (at >= 0) return this.received.splice(0, at + 1);
      if (this.ended) return this.received.splice(0);
      await this.#wait();
    }
  }

  async reply(): Promise<Reply> {
    return summarize(await this.until('Z'));
  }

  /** Sends messages and takes the answer up to the next ReadyForQuery. */
  async ask(...bytes: Buffer[]): Promise<Reply> {
    this.send(...bytes);
    return this.reply();
  }

  query(sql: string): Promise<Reply> {
    return this.ask(message.query(sql));
  }

  async value(sql: string): Promise<string | null | undefined> {
    return (await this.query(sql)).rows[0]?.[0];
  }

  /** Takes the greeting. */
  async greeted(): Promise<this> {
    await this.until('Z');
    return this;
  }
}

export function summarize(frames: readonly Frame[]): Reply {
  const reply: Reply = { types: '', rows: [], tags: [], status: '' };
  for (const { type, bytes } of frames) {
    if (type !== 'S') reply.types += type;
    if (type === 'D') reply.rows.push(readDataRow(bytes));
    if (type === 'C') reply.tags.push(bytes.toString('utf8', 5, bytes.length - 1));
    if (type === 'Z') reply.status = bytes.toString('latin1', 5);
    if (type === 'N') reply.warning = readReport(bytes).get('M') ?? '';
    if (type === 'E') {
      const fields = readReport(bytes);
      reply.error = {
        code: fields.get('C') ?? '',
        message: fields.get('M') ?? '',
        severity: fields.get('S') ?? '',
      };
    }
  }
  return reply;
}
