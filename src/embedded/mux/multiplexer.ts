import { failureOf } from '../../db/errors.js';
import type { DaemonLog } from '../control.js';
import type { Engine } from '../engine/engine.js';
import { errorResponse, ProtocolViolation, type Report, simpleQuery, sync } from '../wire.js';
import { BackgroundWork, TurnQueue, Turn } from './turn.js';
import { Client, type ClientOutput } from './client.js';
import {
  EngineHost,
  EngineInterrupted,
  EngineUnavailable,
  InternalStatementFailed,
} from './engine-host.js';
import { greeting, newSecret, readHello } from './greeting.js';
import { defaultLimits, type Limits, cancelReport, idleReport, stopReport } from './limits.js';
import { SessionKeeper } from './session-keeper.js';
import type { Reserve } from '../folder/reserve.js';

export type MultiplexerOptions = {
  startEngine: () => Promise<Engine>;
  log?: DaemonLog;
  /** The engine does not start any more. */
  onUnavailable?: () => void;
  limits?: Partial<Limits>;
  /** Room for the day when the disk is full. */
  reserve?: Reserve;
};

/**
 * Shares one engine session among many clients. A client's turn is one batch of messages; the
 * engine belongs to it until its transaction and pipeline have ended. See docs/embedded.md.
 */
export class Multiplexer {
  readonly #host: EngineHost;
  readonly #keeper: SessionKeeper;
  readonly #limits: Limits;
  readonly #log: DaemonLog;
  readonly #onUnavailable: () => void;
  readonly #queue = new TurnQueue<Client>();
  readonly #clients = new Map<number, Client>();
  readonly #background: BackgroundWork;
  readonly #left: Client[] = [];
  #nextProcessId = 1;
  #turn: Turn | undefined;
  #pumping = Promise.resolve();
  #busy = false;
  #stopped = false;

  constructor(options: MultiplexerOptions) {
    this.#log = options.log ?? (() => undefined);
    this.#onUnavailable = options.onUnavailable ?? (() => undefined);
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#host = new EngineHost(options.startEngine, this.#log, options.reserve);
    this.#keeper = new SessionKeeper(this.#host);
    this.#background = new BackgroundWork(this.#limits.backgroundWaitMs);
  }

  get clients(): number {
    return this.#clients.size;
  }

  get restarts(): number {
    return this.#host.restarts;
  }

  /** Starts the engine; clients can connect afterwards. */
  start(): Promise<void> {
    return this.#host.start();
  }

  /** Accepts a client by its start-up parameters; undefined (and an answer) when it is refused. */
  connect(
    output: ClientOutput,
    minor: number,
    parameters: ReadonlyMap<string, string>,
  ): Client | undefined {
    const defaults = new Map(this.#host.parameters);
    const hello = readHello(parameters, defaults);
    const refusal = 'severity' in hello ? hello : this.#refusalNow();
    if (refusal !== undefined || 'severity' in hello) {
      if (refusal) output.write(errorResponse(refusal));
      output.end();
      return undefined;
    }
    const client = new Client(output, this.#nextProcessId, newSecret());
    this.#nextProcessId += 1;
    client.startSettings = client.settings = hello.settings;
    this.#clients.set(client.processId, client);
    output.write(greeting(hello, minor, defaults, client.processId, client.secret));
    return client;
  }

  #refusalNow(): Report | undefined {
    if (this.#stopped) return stopReport;
    if (this.#clients.size < this.#limits.clients) return undefined;
    return { severity: 'FATAL', code: '53300', message: 'sorry, too many clients already' };
  }

  /** Takes bytes that a client sent. */
  receive(client: Client, bytes: Buffer): void {
    if (client.gone) return;
    try {
      if (client.receive(bytes)) {
        client.output.end();
        this.disconnect(client);
        return;
      }
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#dismiss(client, { severity: 'FATAL', code: '08P01', message: error.message });
      return;
    }
    this.#request(client);
  }

  #request(client: Client): void {
    if (!client.hasWork || this.#turn?.client === client) return;
    this.#queue.request(client);
    this.#pump();
  }

  /** The client's connection has ended. */
  disconnect(client: Client): void {
    if (client.gone) return;
    client.gone = true;
    client.dropWork();
    this.#clients.delete(client.processId);
    if (this.#turn?.client === client) this.#turn.goneAt = performance.now();
    else {
      this.#queue.remove(client);
      this.#takeLeave(client);
      this.#pump();
    }
  }

  /** Whose transaction is open comes first: the clean-up after another one would be undone with it. */
  #takeLeave(client: Client): void {
    if (client.status !== 'I' || client.inPipeline) this.#left.unshift(client);
    else this.#left.push(client);
  }

  #dismiss(client: Client, report: Report): void {
    client.output.write(errorResponse(report));
    client.output.end();
    this.disconnect(client);
  }

  /** A cancel request: what runs is ended with the engine, what waits is taken out. */
  cancel(processId: number, secret: number): void {
    const client = this.#clients.get(processId);
    if (client?.secret !== secret) return;
    if (this.#turn?.client === client) {
      if (this.#turn.runs) this.#host.interrupt(cancelReport);
    } else if (client.status === 'I' && !client.inPipeline) {
      const batch = client.takeBatch();
      if (batch === undefined) return;
      const message = 'canceling statement due to user request';
      client.output.write(errorResponse({ ...cancelReport, message }));
      client.endUnrun(batch);
    }
  }

  /** Runs a statement of the daemon's own when no client needs the engine. */
  background(sql: string, limitMs?: number): Promise<(string | null)[][]> {
    const done = this.#background.add(async () => {
      await this.#keeper.ownSession();
      return this.#host.query(sql, limitMs);
    });
    this.#pump();
    return done;
  }

  /** Replaces an engine that answers wrongly. */
  async replaceEngine(): Promise<void> {
    await this.#background
      .add(() => this.#host.replace())
      .catch((error: unknown) => {
        if (!(error instanceof EngineInterrupted)) throw error;
      });
  }

  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#pumping = this.#work().catch((error: unknown) => {
      this.#busy = false;
      this.#failed(error);
    });
  }

  async #work(): Promise<void> {
    // Give the caller its turn first: requests of one read of the socket come together.
    await Promise.resolve();
    for (;;) {
      // Within the transaction of another client a clean-up would be undone with it, or be part of it.
      const free = this.#queue.owner === undefined;
      const left = free ? this.#left.shift() : undefined;
      if (left !== undefined) await this.#sayGoodbye(left);
      else if (free && this.#background.isDue) await this.#background.runNext();
      else {
        const client = this.#queue.next();
        if (client !== undefined) await this.#serve(client);
        else if (free && this.#background.waits) {
          await this.#background.runNext();
        } else {
          this.#busy = false;
          return;
        }
      }
    }
  }

  #failed(error: unknown): void {
    this.#log(failureOf(error).message, 'error');
    if (error instanceof EngineUnavailable) {
      const report: Report = { ...error.report, severity: 'FATAL' };
      for (const client of this.#clients.values()) this.#dismiss(client, report);
      this.#onUnavailable();
    } else this.#pump();
  }

  async #serve(client: Client): Promise<void> {
    const batch = client.takeBatch();
    if (batch === undefined) return;
    const turn = new Turn(client, this.#host, this.#keeper, this.#limits);
    this.#turn = turn;
    try {
      if (client.skipToSync) client.endUnrun(batch);
      else await turn.run(batch);
    } catch (error) {
      if (error instanceof EngineUnavailable) throw error;
      // The session is not what the client believes it to be: better no connection than a wrong one.
      this.#log(failureOf(error).message, 'warning');
      const sqlState = error instanceof InternalStatementFailed ? error.sqlState : 'XX000';
      this.#dismiss(client, {
        severity: 'FATAL',
        code: sqlState,
        message: failureOf(error).message,
      });
    } finally {
      this.#turn = undefined;
      client.idleSince = performance.now();
      const holds = !client.gone && (client.status !== 'I' || client.inPipeline);
      this.#queue.own(holds ? client : undefined);
      if (client.gone) this.#takeLeave(client);
      else this.#request(client);
    }
  }

  async #sayGoodbye(client: Client): Promise<void> {
    try {
      if (client.status !== 'I' || client.inPipeline) {
        await this.#host
          .internal(Buffer.concat([sync(), simpleQuery('ROLLBACK')]))
          .catch((error: unknown) => {
            if (!(error instanceof InternalStatementFailed)) throw error;
          });
      }
      await this.#keeper.cleanUp(client);
    } catch (error) {
      if (error instanceof EngineUnavailable) throw error;
      // The engine is a new one: nothing of this client is left in it.
      this.#log(`cleaning up after a client: ${failureOf(error).message}`, 'warning');
    }
  }

  /** Looks for clients that keep the engine without using it. Call it about twice a second. */
  tick(now = performance.now()): void {
    const { owner } = this.#queue;
    if (owner !== undefined && this.#turn === undefined && !owner.hasWork) {
      const { idleInTransactionContendedMs: contended, idleInTransactionMs: alone } = this.#limits;
      const limit = this.#queue.waiting > 0 ? Math.min(contended, alone) : alone;
      if (now - owner.idleSince > limit) this.#dismiss(owner, idleReport);
    }
    const turn = this.#turn;
    if (turn === undefined) return;
    if (turn.stuckFor(now) > this.#limits.unreadAnswerMs) {
      this.#log('a client did not read its answer and was disconnected');
      turn.client.output.destroy();
      this.disconnect(turn.client);
    }
    const abandoned = turn.goneAt !== undefined && now - turn.goneAt > this.#limits.abandonedMs;
    if (abandoned && turn.runs && this.#queue.waiting > 0) this.#host.interrupt(cancelReport);
  }

  /**
   * Tells every client that the daemon ends, and lets the batch under way finish. Background work
   * is still done afterwards.
   * @param graceMs how long that batch may still take.
   */
  async dismissAll(graceMs = 5_000): Promise<void> {
    this.#stopped = true;
    for (const client of this.#clients.values()) {
      if (this.#turn?.client !== client) this.#dismiss(client, stopReport);
    }
    const timer = setTimeout(() => this.#host.interrupt(stopReport), graceMs);
    await this.#pumping;
    for (const client of this.#clients.values()) this.#dismiss(client, stopReport);
    await this.#pumping;
    clearTimeout(timer);
  }

  /** Closes the engine, with its shutdown checkpoint. */
  close(): Promise<void> {
    return this.#host.close();
  }
}
