import { quoteIdent } from '../../quote.js';
import { parseDuration } from '../sql/duration.js';
import { closeStatement, sync, type TransactionStatus } from '../wire/messages.js';
import type { Answer } from './answer.js';
import type { Batch } from './batch.js';
import type { Client } from './client.js';
import type { EngineHost } from './engine-host.js';
import { Listeners } from './listeners.js';
import { InternalStatementFailed } from './rows.js';
import { captureSql, SessionSettings } from './session-settings.js';

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
    client.transactionTimeoutMs = parseDuration(rows[0]?.[0] ?? '0');
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
