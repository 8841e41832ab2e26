import { commandComplete, errorResponse, readyForQuery, type Report } from '../wire.js';
import type { Batch } from './batch.js';
import type { Client, ClientOutput } from './client.js';
import { type EngineHost, EngineInterrupted } from './engine-host.js';
import { idleTimeoutWarning, type Limits } from './limits.js';
import { Answer, type SessionKeeper } from './session-keeper.js';

/**
 * Whose turn it is. Clients wait first come, first served; one that has a transaction or an
 * unfinished pipeline open owns the engine, and nobody else gets it until that ends.
 */
export class TurnQueue<Client> {
  readonly #ready = new Set<Client>();
  #owner: Client | undefined;

  get owner(): Client | undefined {
    return this.#owner;
  }

  /** Clients with work to do that the owner keeps waiting, or that wait for their turn. */
  get waiting(): number {
    const owned = this.#owner !== undefined && this.#ready.has(this.#owner) ? 1 : 0;
    return this.#ready.size - owned;
  }

  own(client: Client | undefined): void {
    this.#owner = client;
  }

  /** The client has work; asking twice changes nothing. */
  request(client: Client): void {
    this.#ready.add(client);
  }

  /** The client is gone: it has no work and owns nothing. */
  remove(client: Client): void {
    this.#ready.delete(client);
    if (this.#owner === client) this.#owner = undefined;
  }

  /** Takes the next client that may use the engine now. */
  next(): Client | undefined {
    if (this.#owner !== undefined) {
      return this.#ready.delete(this.#owner) ? this.#owner : undefined;
    }
    for (const client of this.#ready) {
      this.#ready.delete(client);
      return client;
    }
    return undefined;
  }
}

type Work = { run: () => Promise<void>; since: number };

/** The daemon's own statements, which wait until no client needs the engine, but not for ever. */
export class BackgroundWork {
  readonly #work: Work[] = [];
  readonly #longestWaitMs: number;

  constructor(longestWaitMs: number) {
    this.#longestWaitMs = longestWaitMs;
  }

  get waits(): boolean {
    return this.#work.length > 0;
  }

  /** Something has waited so long that it goes before the next client. */
  get isDue(): boolean {
    const first = this.#work[0];
    return first !== undefined && performance.now() - first.since > this.#longestWaitMs;
  }

  add<Result>(run: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#work.push({ since: performance.now(), run: () => run().then(resolve, reject) });
    });
  }

  async runNext(): Promise<void> {
    await this.#work.shift()?.run();
  }
}

/**
 * One batch of one client in the engine: the session is made the client's own, the batch runs, and
 * what it changed is noted. An engine that ends meanwhile is explained to the client.
 */
export class Turn {
  readonly client: Client;
  /** When the client went away in mid-turn (ms of the multiplexer's clock). */
  goneAt: number | undefined;
  readonly #host: EngineHost;
  readonly #keeper: SessionKeeper;
  readonly #limits: Limits;
  readonly #outflow: Outflow;
  #runs = false;

  constructor(client: Client, host: EngineHost, keeper: SessionKeeper, limits: Limits) {
    this.client = client;
    this.#host = host;
    this.#keeper = keeper;
    this.#limits = limits;
    this.#outflow = new Outflow(client.output);
  }

  /** The client's own batch runs, not a statement of ours before or after it. */
  get runs(): boolean {
    return this.#runs;
  }

  /** For how long (ms) the client has taken nothing of its answer although there is something to take. */
  stuckFor(now: number): number {
    return this.#outflow.stuckFor(now);
  }

  /** @throws EngineUnavailable, InternalStatementFailed: the session is not what the client believes. */
  async run(batch: Batch): Promise<void> {
    const { client } = this;
    await this.#prepareSession(batch);
    const sole = batch.executes[0]?.sole;
    const takesSole = sole === 'DISCARD ALL' ? client.status === 'I' : client.status !== 'E';
    if (batch.ends === 'query' && sole !== undefined && takesSole) {
      await this.#discard(sole);
      return;
    }
    if (batch.executes.some((facts) => facts.mentionsIdleTimeout)) {
      client.output.write(idleTimeoutWarning);
    }
    const notify = (channel: string, message: (processId: number) => Buffer): void => {
      for (const other of this.#keeper.listeners.of(channel)) {
        other.output.write(message(client.processId));
      }
    };
    const answer = new Answer(batch, notify, this.#host.reserve?.hint);
    const open = client.status !== 'I' || batch.executes.some((facts) => facts.begins);
    try {
      await this.#runInEngine(batch, answer);
      client.status = answer.status ?? client.status;
      client.inPipeline = batch.ends === 'flush';
      await this.#keeper.settle(client, batch, answer);
    } catch (error) {
      if (!(error instanceof EngineInterrupted)) throw error;
      await this.#reportInterruption(batch, answer, error.report, open);
    }
  }

  /** Twice at most: an engine that ended meanwhile has been replaced and knows nothing yet. */
  async #prepareSession(batch: Batch): Promise<void> {
    try {
      await this.#keeper.restore(this.client, batch);
    } catch (error) {
      if (!(error instanceof EngineInterrupted)) throw error;
      await this.#keeper.restore(this.client, batch);
    }
  }

  async #runInEngine(batch: Batch, answer: Answer): Promise<void> {
    this.#runs = true;
    await this.#host.run(
      batch.bytes,
      (bytes, release) => this.#outflow.write(answer.take(bytes), bytes.length, release),
      this.#limitOf(batch),
    );
    this.#runs = false;
    if (answer.status === undefined && batch.ends !== 'flush') await this.#host.replace();
  }

  #limitOf(batch: Batch): number {
    const own = batch.executes.map((facts) => facts.timeoutMs).find((ms) => ms !== undefined);
    return (
      own ??
      this.client.transactionTimeoutMs ??
      this.client.settings.statementTimeoutMs ??
      this.#limits.statementMs
    );
  }

  /**
   * The engine was ended in mid-batch. A client that had a transaction open finds it failed, as on
   * a server: the new engine is put into a failed transaction that this client owns, so that what
   * it sends next is refused until it rolls back, not committed statement by statement.
   */
  async #reportInterruption(
    batch: Batch,
    answer: Answer,
    report: Report,
    open: boolean,
  ): Promise<void> {
    const { client } = this;
    client.pendingListens = [];
    client.transactionTimeoutMs = undefined;
    client.temporaryRelations = [];
    client.inPipeline = false;
    client.status = 'I';
    const answered = answer.status !== undefined;
    const failed = answered ? answer.status !== 'I' : open;
    if (failed && !client.gone) {
      await this.#host.query('BEGIN');
      await this.#host.query('the transaction was lost with the engine').catch(() => undefined);
      client.status = 'E';
    }
    if (answered) return;
    client.output.write(errorResponse(report));
    client.endUnrun(batch);
  }

  async #discard(sole: 'DISCARD ALL' | 'DEALLOCATE ALL'): Promise<void> {
    const { client } = this;
    if (sole === 'DISCARD ALL') {
      await this.#keeper.cleanUp(client);
      client.settings = client.startSettings;
    } else await this.#keeper.closeStatements(client);
    client.output.write(Buffer.concat([commandComplete(sole), readyForQuery(client.status)]));
  }
}

/**
 * The bytes of one answer on their way to a client. The engine waits when too many are not yet
 * taken; a client that takes none for long is holding up everybody.
 */
class Outflow {
  readonly #output: ClientOutput;
  #unread = 0;
  #movedAt = performance.now();

  constructor(output: ClientOutput) {
    this.#output = output;
  }

  /** @param taken bytes of the engine's that `release` gives back to it. */
  write(bytes: Buffer, taken: number, release: () => void): void {
    if (bytes.length === 0) {
      release();
      return;
    }
    if (this.#unread === 0) this.#movedAt = performance.now();
    this.#unread += taken;
    this.#output.write(bytes, () => {
      this.#unread -= taken;
      this.#movedAt = performance.now();
      release();
    });
  }

  /** For how long (ms) the client has taken nothing although there is something to take. */
  stuckFor(now: number): number {
    return this.#unread === 0 ? 0 : now - this.#movedAt;
  }
}
