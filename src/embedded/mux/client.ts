import {
  FrameSplitter,
  ProtocolViolation,
  readyForQuery,
  type TransactionStatus,
} from '../wire.js';
import { type ListenChange, parseTimeout } from './statement-facts.js';
import { BatchBuilder, PreparedStatements, type Batch } from './batch.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';

/** Settings whose value cannot be read back and set again. */
const notRestorable = new Set(['seed']);

/**
 * What a client has set for its session (name → value, with `role` and `session_authorization`).
 * The engine has one session: before another client runs, these are reset and that client's set.
 */
export class SessionSettings {
  readonly #values: ReadonlyMap<string, string>;
  /** Equal keys mean equal settings. */
  readonly key: string;

  constructor(values: Iterable<readonly [string, string]>) {
    this.#values = new Map([...values].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    this.key = JSON.stringify([...this.#values]);
  }

  static readonly none = new SessionSettings([]);

  entries(): [string, string][] {
    return [...this.#values];
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** statement_timeout in ms, 0 for none; undefined when the client has not set it. */
  get statementTimeoutMs(): number | undefined {
    const value = this.#values.get('statement_timeout');
    return value === undefined ? undefined : parseTimeout(value);
  }

  /** Statements that give a session these settings, whatever it had before. */
  restoreSql(): string {
    const assignments = this.entries()
      .filter(([name]) => name !== 'role' && name !== 'session_authorization')
      .map(
        ([name, value]) =>
          `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`,
      );
    const authorization = this.get('session_authorization');
    const role = this.get('role');
    return [
      'RESET SESSION AUTHORIZATION',
      'RESET ROLE',
      'RESET ALL',
      ...(assignments.length === 0 ? [] : [`SELECT ${assignments.join(', ')}`]),
      ...(authorization === undefined
        ? []
        : [`SET SESSION AUTHORIZATION ${quoteIdent(authorization)}`]),
      ...(role === undefined ? [] : [`SET ROLE ${quoteIdent(role)}`]),
    ].join('; ');
  }

  /** From the rows of `captureSql`. */
  static captured(rows: readonly (string | null)[][]): SessionSettings {
    return new SessionSettings(
      rows.flatMap(([name, value]) =>
        typeof name === 'string' && typeof value === 'string' && !notRestorable.has(name)
          ? [[name, value] as const]
          : [],
      ),
    );
  }

  /** These settings, and those of `other` where these have none. */
  over(other: SessionSettings): SessionSettings {
    return new SessionSettings([...other.entries(), ...this.entries()]);
  }
}

/**
 * Reads the settings of the engine's session that a client has set (3.9 ms: run when needed).
 * @param customNames settings with a dot in their name, which pg_settings leaves out.
 */
export const captureSql = (customNames: Iterable<string>): string =>
  [
    listedSettingsSql,
    ...[...customNames].map((name) => {
      const value = `pg_catalog.current_setting(${quoteLiteral(name)}, true)`;
      return `SELECT ${quoteLiteral(name)}, ${value} WHERE ${value} <> ''`;
    }),
  ].join(' UNION ALL ');

const listedSettingsSql = `
  SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE source = 'session'
  UNION ALL
  SELECT 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') <> 'none'
  UNION ALL
  SELECT 'session_authorization', session_user WHERE session_user <> 'postgres'`;

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
