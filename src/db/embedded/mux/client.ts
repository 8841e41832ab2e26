import { FrameSplitter, ProtocolViolation } from '../wire/frames.js';
import { readyForQuery, type TransactionStatus } from '../wire/messages.js';
import type { ListenChange } from '../sql/statement-facts.js';
import { BatchBuilder, type Batch } from './batch.js';
import { PreparedStatements } from './prepared-statements.js';
import { SessionSettings } from './session-settings.js';

/** Where a client's answers go. */
export type ClientOutput = {
  /** `written` is called when the bytes are on their way, or can never be. */
  write(bytes: Buffer, written?: () => void): void;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  pause(): void;
  resume(): void;
};

/** 256 MB: below PostgreSQL's 1 GB, which the engine's 2 GB of memory would not bear. */
export const largestMessage = 256 * 1024 * 1024;

/** Input that waits for the engine is read no further than this. */
const mostWaitingBytes = 4 * 1024 * 1024;

/** One connected client: its input cut into batches, and what it has changed in its session. */
export class Client {
  readonly output: ClientOutput;
  readonly processId: number;
  readonly secret: number;
  readonly statements: PreparedStatements;

  status: TransactionStatus = 'I';
  /** After a Flush: the implicit transaction of the pipeline is open until its Sync. */
  inPipeline = false;
  gone = false;
  /** Settings given at the start of the connection, to which RESET goes back. */
  startSettings = SessionSettings.none;
  settings = SessionSettings.none;
  settingsChanged = false;
  settingsReset = false;
  readonly customSettings = new Set<string>();
  temporaryChanged = false;
  temporaryRelations: string[] = [];
  /** statement_timeout within the transaction, in ms. */
  transactionTimeoutMs: number | undefined;
  listening = new Set<string>();
  pendingListens: ListenChange[] = [];
  /** The last transaction that ended, or the pipeline under way, was rolled back. */
  pipelineFailed = false;
  /** When the engine last finished something for this client (ms of the multiplexer's clock). */
  idleSince = 0;
  /** A flushed batch was ended by the multiplexer: the rest up to Sync is skipped. */
  skipToSync = false;

  readonly #splitter = new FrameSplitter(largestMessage);
  readonly #builder: BatchBuilder;
  readonly #batches: Batch[] = [];
  #paused = false;

  constructor(output: ClientOutput, processId: number, secret: number) {
    this.output = output;
    this.processId = processId;
    this.secret = secret;
    this.statements = new PreparedStatements(`c${processId}_`);
    this.#builder = new BatchBuilder(this.statements);
  }

  get hasWork(): boolean {
    return this.#batches.length > 0;
  }

  get waitingBytes(): number {
    return this.#batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Takes bytes from the socket. Returns true when the client says it leaves (Terminate). */
  receive(bytes: Buffer): boolean {
    this.#splitter.push(bytes);
    for (let frame = this.#splitter.next(); frame; frame = this.#splitter.next()) {
      if (frame.type === 'X') return true;
      const batch = this.#builder.add(frame);
      if (batch !== undefined) this.#batches.push(batch);
      if (this.#builder.pending > largestMessage) {
        throw new ProtocolViolation('too many messages without Sync');
      }
    }
    this.#holdBack();
    return false;
  }

  takeBatch(): Batch | undefined {
    const batch = this.#batches.shift();
    this.#holdBack();
    return batch;
  }

  /** Forgets the batches that have not started. */
  dropWork(): void {
    this.#batches.length = 0;
  }

  /** Ends the answer to a batch that did not run, or not to its end. */
  endUnrun(batch: Batch): void {
    const synced = batch.ends === 'sync' || (batch.ends === 'query' && !this.skipToSync);
    this.skipToSync = !synced;
    if (synced) this.output.write(readyForQuery(this.status));
  }

  #holdBack(): void {
    const full = this.waitingBytes > mostWaitingBytes;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.output.pause();
    else this.output.resume();
  }
}
