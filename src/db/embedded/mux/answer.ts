import type { Refusal } from '../sql/refusals.js';
import { notificationFrom, readNotification } from '../wire/extended.js';
import { FrameSplitter, readCString, type Frame } from '../wire/frames.js';
import { errorResponse, type TransactionStatus } from '../wire/messages.js';
import type { Batch } from './batch.js';

const copyRefusal: Refusal = {
  message: 'COPY FROM STDIN is not available on the embedded database',
  hint: 'Use INSERT with many rows, or unnest() of arrays; on a server COPY works.',
};

/**
 * The engine's answer to one batch on its way to the client: what must not reach the client is
 * taken out, and what the multiplexer has to know is kept.
 */
export class Answer {
  /** ReadyForQuery's status; undefined as long as none came. */
  status: TransactionStatus | undefined;
  /** Some statement failed, or the transaction ended with ROLLBACK. */
  failed = false;
  readonly #batch: Batch;
  readonly #splitter = new FrameSplitter(0x7fff_ffff);
  readonly #notify: (channel: string, message: (processId: number) => Buffer) => void;
  #refusal: Refusal | undefined;

  constructor(
    batch: Batch,
    notify: (channel: string, message: (processId: number) => Buffer) => void,
  ) {
    this.#batch = batch;
    this.#refusal = batch.refusal;
    this.#notify = notify;
  }

  /** Takes bytes of the engine; returns those for the client. */
  take(bytes: Buffer): Buffer {
    this.#splitter.push(bytes);
    const kept: Buffer[] = [];
    for (let frame = this.#splitter.next(); frame; frame = this.#splitter.next()) {
      const out = this.#filter(frame);
      if (out !== undefined) kept.push(out);
    }
    return kept.length === 1 && kept[0] ? kept[0] : Buffer.concat(kept);
  }

  #filter({ type, bytes }: Frame): Buffer | undefined {
    switch (type) {
      case 'A':
        this.#notify(readNotification(bytes).channel, (processId) =>
          notificationFrom(bytes, processId),
        );
        return undefined;
      case 'Z':
        // The engine adds a ReadyForQuery at the end of every run, Sync or not.
        if (this.#batch.ends === 'flush') return undefined;
        this.status = String.fromCharCode(bytes[5] ?? 0) as TransactionStatus;
        return bytes;
      case 'G':
        this.#refusal = copyRefusal;
        return undefined;
      case 'C':
        this.failed = readCString(bytes, 5).raw.toString('latin1') === 'ROLLBACK';
        return bytes;
      case 'E':
        this.failed = true;
        if (this.#refusal === undefined) return bytes;
        return errorResponse({ severity: 'ERROR', code: '0A000', ...this.#refusal });
      default:
        return bytes;
    }
  }
}
