import { quoteIdent } from '../../db/quote.js';
import { type ListenChange, parseTimeout, type Refusal } from './statement-facts.js';
import {
  closeStatement,
  errorResponse,
  type Frame,
  FrameSplitter,
  notificationFrom,
  readCString,
  readNotification,
  readReport,
  sync,
  type TransactionStatus,
} from '../wire.js';
import type { Batch } from './batch.js';
import { type Client, captureSql, SessionSettings } from './client.js';
import { type EngineHost, InternalStatementFailed } from './engine-host.js';

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
    /** Where to make room: the engine names files, but not where they are. */
    readonly fullDiskHint?: string,
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
        if (this.#refusal === undefined) return this.#withHint(bytes);
        return errorResponse({ severity: 'ERROR', code: '0A000', ...this.#refusal });
      default:
        return bytes;
    }
  }

  #withHint(bytes: Buffer): Buffer {
    const { fullDiskHint: hint } = this;
    if (hint === undefined) return bytes;
    const fields = readReport(bytes);
    if (fields.get('C') !== '53100') return bytes;
    const message = fields.get('M') ?? '';
    const severity = fields.get('V') === 'FATAL' ? 'FATAL' : 'ERROR';
    return errorResponse({ severity, code: '53100', message, hint });
  }
}

/** Which client listens to which channel. The engine's session listens to all of them. */
class Listeners {
  readonly #byChannel = new Map<string, Set<Client>>();

  get channels(): string[] {
    return [...this.#byChannel.keys()];
  }

  of(channel: string): Iterable<Client> {
    return this.#byChannel.get(channel) ?? [];
  }

  /**
   * Applies what a client's committed transaction changed.
   * @returns channels that the engine has stopped listening to although another client listens.
   */
  apply(client: Client, changes: readonly ListenChange[]): string[] {
    const silenced = new Set<string>();
    for (const change of changes) {
      if ('listen' in change) this.#add(client, change.listen);
      else if ('unlisten' in change) {
        this.#remove(client, change.unlisten);
        silenced.add(change.unlisten);
      } else {
        this.forget(client);
        for (const channel of this.channels) silenced.add(channel);
      }
    }
    return [...silenced].filter((channel) => this.#byChannel.has(channel));
  }

  /** The client listens no longer; returns the channels nobody listens to now. */
  forget(client: Client): string[] {
    const silent: string[] = [];
    for (const channel of [...client.listening]) {
      this.#remove(client, channel);
      if (!this.#byChannel.has(channel)) silent.push(channel);
    }
    return silent;
  }

  #add(client: Client, channel: string): void {
    client.listening.add(channel);
    const clients = this.#byChannel.get(channel) ?? new Set<Client>();
    this.#byChannel.set(channel, clients.add(client));
  }

  #remove(client: Client, channel: string): void {
    client.listening.delete(channel);
    const clients = this.#byChannel.get(channel);
    clients?.delete(client);
    if (clients?.size === 0) this.#byChannel.delete(channel);
  }
}

const temporaryRelationsSql = `
  SELECT pg_catalog.format('%s %I.%I',
           CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           nspname, relname)
  FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
  WHERE relpersistence = 't' AND relkind IN ('r', 'p', 'v', 'S') AND nspname LIKE 'pg\\_temp%'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                    WHERE objid = pg_class.oid AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass)`;

/**
 * Makes the engine's one session look to each client like its own: settings, prepared statements,
 * channels and temporary relations are noted after a batch, and put back or cleaned up.
 */
export class SessionKeeper {
  readonly listeners = new Listeners();
  readonly #host: EngineHost;
  readonly #ownedRelations = new Set<string>();
  #listensOf = 0;

  constructor(host: EngineHost) {
    this.#host = host;
  }

  /** Before a batch: gives the session the client's settings and the statements it needs. */
  async restore(client: Client, batch: Batch): Promise<void> {
    // Within a pipeline nothing else has used the session, and a Sync of ours would end it.
    if (client.inPipeline) return;
    if (client.status === 'I') {
      await this.#listenAgain();
      await this.#restoreSettings(client.settings);
    }
    await this.#restoreStatements(batch);
  }

  /** Before a statement of the daemon's own: no client's role, search_path or read-only mode. */
  ownSession(): Promise<void> {
    return this.#restoreSettings(SessionSettings.none);
  }

  async #listenAgain(): Promise<void> {
    if (this.#listensOf === this.#host.generation) return;
    this.#ownedRelations.clear();
    await this.#listen(this.listeners.channels);
    this.#listensOf = this.#host.generation;
  }

  async #listen(channels: readonly string[]): Promise<void> {
    if (channels.length === 0) return;
    await this.#host.query(channels.map((channel) => `LISTEN ${quoteIdent(channel)}`).join('; '));
  }

  async #restoreSettings(settings: SessionSettings): Promise<void> {
    if (this.#host.settingsKey === settings.key) return;
    this.#host.settingsKey = undefined;
    await this.#host.query(settings.restoreSql());
    this.#host.settingsKey = settings.key;
  }

  async #restoreStatements(batch: Batch): Promise<void> {
    for (const [alias, statement] of batch.needs) {
      if (alias === '') {
        if (this.#host.unnamed === statement) continue;
        await this.#quietly(statement?.parse ?? closeStatement(''));
        this.#host.unnamed = statement;
      } else if (statement?.parse && statement.engine !== this.#host.generation) {
        await this.#quietly(statement.parse);
        statement.engine = this.#host.generation;
      }
    }
  }

  /** Runs messages whose refusal the client will see for itself when it uses their result. */
  async #quietly(...messages: Buffer[]): Promise<void> {
    try {
      await this.#host.internal(Buffer.concat([...messages, sync()]));
    } catch (error) {
      if (!(error instanceof InternalStatementFailed)) throw error;
    }
  }

  /** After a batch: notes what it changed. */
  async settle(client: Client, batch: Batch, answer: Answer): Promise<void> {
    this.#noteStatements(batch);
    client.settingsChanged ||= batch.executes.some((facts) => facts.settings);
    for (const { customSettings } of batch.executes) {
      for (const name of customSettings) client.customSettings.add(name);
    }
    client.settingsReset ||= batch.executes.some((facts) => facts.resets);
    client.temporaryChanged ||= batch.executes.some((facts) => facts.temporary);
    client.pendingListens.push(...batch.executes.flatMap((facts) => facts.listens));
    client.pipelineFailed ||= answer.failed;
    if (batch.ends === 'flush') return;
    if (answer.status === 'I') await this.#settleTransaction(client);
    else await this.#noteTimeout(client, batch, answer.status);
  }

  #noteStatements(batch: Batch): void {
    if (batch.ends === 'query') this.#host.unnamed = undefined;
    for (const [alias, statement] of batch.prepares) {
      statement.engine = this.#host.generation;
      if (alias === '') this.#host.unnamed = statement;
    }
  }

  async #settleTransaction(client: Client): Promise<void> {
    client.transactionTimeoutMs = undefined;
    const changes = client.pendingListens.splice(0);
    const failed = client.pipelineFailed;
    client.pipelineFailed = false;
    if (!failed) await this.#listen(this.listeners.apply(client, changes));
    if (client.settingsChanged) await this.#captureSettings(client);
    if (client.temporaryChanged) await this.#captureTemporaryRelations(client);
  }

  async #captureSettings(client: Client): Promise<void> {
    const captured = SessionSettings.captured(
      await this.#host.query(captureSql(client.customSettings)),
    );
    this.#host.settingsKey = captured.key;
    client.settings = client.settingsReset ? captured.over(client.startSettings) : captured;
    client.settingsChanged = client.settingsReset = false;
  }

  async #captureTemporaryRelations(client: Client): Promise<void> {
    client.temporaryChanged = false;
    for (const [relation] of await this.#host.query(temporaryRelationsSql)) {
      if (typeof relation !== 'string' || this.#ownedRelations.has(relation)) continue;
      this.#ownedRelations.add(relation);
      client.temporaryRelations.push(relation);
    }
  }

  /** The engine is asked: statement_timeout can be set in more ways than a text tells. */
  async #noteTimeout(
    client: Client,
    batch: Batch,
    status: TransactionStatus | undefined,
  ): Promise<void> {
    if (!batch.mentionsTimeout || status !== 'T') return;
    const [only, ...more] = batch.executes;
    if (only?.timeoutMs !== undefined && only.timeoutOnce && more.length === 0) {
      client.transactionTimeoutMs = only.timeoutMs;
      return;
    }
    const rows = await this.#host.query('SHOW statement_timeout');
    client.transactionTimeoutMs = parseTimeout(rows[0]?.[0] ?? '0');
  }

  /** Closes every prepared statement of the client. */
  async closeStatements(client: Client): Promise<void> {
    const { named } = client.statements;
    client.statements.clear();
    if (named.length > 0) await this.#quietly(...named.map(closeStatement));
  }

  /** Takes back everything the client did to the session; what it committed stays. */
  async cleanUp(client: Client): Promise<void> {
    await this.closeStatements(client);
    const silent = this.listeners.forget(client);
    const relations = client.temporaryRelations.splice(0);
    for (const relation of relations) this.#ownedRelations.delete(relation);
    const statements = [
      ...silent.map((channel) => `UNLISTEN ${quoteIdent(channel)}`),
      ...relations.map((relation) => `DROP ${relation.replace(' ', ' IF EXISTS ')} CASCADE`),
    ];
    if (statements.length > 0) {
      this.#host.settingsKey = undefined;
      await this.#host.query(['RESET SESSION AUTHORIZATION', ...statements].join('; '));
    }
    // A function may have set something that no text of the client told: the next one starts clean.
    this.#host.settingsKey = undefined;
  }
}
