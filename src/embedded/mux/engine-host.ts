import { setTimeout as sleep } from 'node:timers/promises';
import { failureOf } from '../../db/errors.js';
import { EngineLost, type Engine, type EngineSink } from '../engine/engine.js';
import type { DaemonLog } from '../control.js';
import { saysNoRoom } from '../engine/messages.js';
import {
  FrameSplitter,
  readDataRow,
  readReport,
  type Report,
  simpleQuery,
  type TransactionStatus,
} from '../wire.js';
import type { PreparedStatement } from './batch.js';
import type { Reserve } from '../folder/reserve.js';

/** The engine was restarted while it ran something; the report is what its client is told. */
export class EngineInterrupted extends Error {
  override readonly name = 'EngineInterrupted';
  readonly report: Report;

  constructor(report: Report) {
    super(report.message);
    this.report = report;
  }
}

/** The engine does not start any more: the daemon has to end. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';

  /** @param report what clients are told */
  constructor(readonly report: Report) {
    super(report.message);
  }
}

/** Waits between attempts to start the engine again, in ms. */
const restartPauses = [0, 200, 1_000, 3_000];

/** @param reason the engine's own words; undefined: it answered, and not wholly */
const brokeReport = (reason?: string): Report => ({
  severity: 'ERROR',
  code: 'XX000',
  message: `the embedded engine broke while it ran this statement${reason === undefined ? '' : ` (${reason})`}; it was restarted`,
  hint: 'What was committed is safe. Repeat the statement; if it breaks the engine again, report it.',
});

/**
 * The engine that is there now, and what is known of its one session. When a run ends with the
 * engine lost, a new engine is started before the caller hears of it.
 */
export class EngineHost {
  /** How many engines there were. */
  generation = 0;
  /** Restarts since the daemon started. */
  restarts = 0;
  /** The unnamed statement that the session has now. */
  unnamed: PreparedStatement | undefined;
  /** Key of the settings that the session has now; undefined when not known. */
  settingsKey: string | undefined;
  readonly #start: () => Promise<Engine>;
  readonly #log: DaemonLog;
  #engine: Engine | undefined;
  #interruption: Report | undefined;
  #running = false;
  #unavailable: EngineUnavailable | undefined;

  constructor(
    start: () => Promise<Engine>,
    log: DaemonLog,
    readonly reserve?: Reserve,
  ) {
    this.#start = start;
    this.#log = log;
  }

  /** ParameterStatus values of a fresh session. */
  get parameters(): [string, string][] {
    return this.#engine?.parameters ?? [];
  }

  /** @throws EngineUnavailable when the disk is full, and the reserve does not suffice either */
  async start(): Promise<void> {
    const engine = await this.#start().catch((error: unknown) => this.#startFromReserve(error));
    engine.onLost((reason) => {
      this.#log(`the engine ended: ${reason}`, 'warning');
      if (this.#engine === engine) this.#engine = undefined;
    });
    this.generation += 1;
    this.unnamed = undefined;
    this.settingsKey = undefined;
    this.#engine = engine;
  }

  /** @throws EngineUnavailable where the engine says that there is no room; else what it failed with */
  async #startFromReserve(error: unknown): Promise<Engine> {
    const { reserve } = this;
    // Where it does not say why, it may still be that; then the reserve costs nothing but a try.
    if (!reserve || !(saysNoRoom(failureOf(error).message) || reserve.isDiskFull())) throw error;
    const explained = (failure: unknown): unknown =>
      saysNoRoom(failureOf(failure).message) ? new EngineUnavailable(reserve.report) : failure;
    this.#log(
      `engine did not start: ${failureOf(error).message}; trying with the room of the reserve`,
      'warning',
    );
    if (!reserve.release()) throw explained(error);
    try {
      return await this.#start();
    } catch (again) {
      throw explained(again);
    } finally {
      // Before any client gets a turn, and takes it.
      reserve.takeBack();
    }
  }

  async #restart(): Promise<Engine> {
    if (this.#unavailable) throw this.#unavailable;
    let reason = '';
    for (const pause of restartPauses) {
      await sleep(pause);
      try {
        const begun = performance.now();
        await this.start();
        this.restarts += 1;
        this.#log(`engine restarted in ${Math.round(performance.now() - begun)} ms`);
        if (this.#engine) return this.#engine;
      } catch (error) {
        reason = failureOf(error).message;
        this.#log(`engine did not start: ${reason}`, 'error');
        if (!(error instanceof EngineUnavailable)) continue;
        this.#unavailable = error;
        break;
      }
    }
    this.#unavailable ??= new EngineUnavailable({
      severity: 'FATAL',
      code: '57P03',
      message: `the embedded engine does not start any more: ${reason}`,
      hint: 'Start the console again; daemon.log in the data folder says what went before.',
    });
    throw this.#unavailable;
  }

  /**
   * Runs frontend messages.
   * @param limitMs ends the engine when it takes longer; 0 is no limit.
   */
  async run(bytes: Buffer, sink: EngineSink, limitMs: number): Promise<void> {
    const engine = this.#engine ?? (await this.#restart());
    this.#interruption = undefined;
    this.#running = true;
    const timer =
      limitMs > 0 ? setTimeout(() => this.interrupt(timeoutReport(limitMs)), limitMs) : undefined;
    let reason = '';
    try {
      await engine.run(bytes, sink);
      // Interrupted when its answer was already on the way: the engine is ending all the same.
      if (this.#reasonOfEnd() === undefined) return;
      await engine.terminate('interrupted');
    } catch (error) {
      if (!(error instanceof EngineLost)) throw error;
      reason = error.message;
    } finally {
      clearTimeout(timer);
      this.#running = false;
    }
    this.#engine = undefined;
    const full = saysNoRoom(reason) ? this.reserve?.report : undefined;
    await this.#restart();
    throw new EngineInterrupted(this.#reasonOfEnd() ?? full ?? brokeReport(reason));
  }

  #reasonOfEnd(): Report | undefined {
    return this.#interruption;
  }

  /** Ends what the engine runs, by ending the engine: nothing less stops it. */
  interrupt(report: Report): void {
    if (!this.#running || this.#interruption !== undefined) return;
    this.#interruption = report;
    this.#log(`engine ended: ${report.message}`, 'warning');
    void this.#engine?.terminate(report.message);
  }

  /** Replaces an engine that still answers, but wrongly. */
  async replace(): Promise<never> {
    await this.#engine?.terminate('the engine gave no complete answer');
    this.#engine = undefined;
    await this.#restart();
    throw new EngineInterrupted(brokeReport());
  }

  /** Runs messages of the multiplexer's own and returns their rows; a refusal is thrown. */
  async internal(messages: Buffer, limitMs = 60_000): Promise<(string | null)[][]> {
    const collector = new RowCollector();
    this.unnamed = undefined;
    await this.run(
      messages,
      (bytes, release) => {
        collector.take(bytes);
        release();
      },
      limitMs,
    );
    if (collector.error) throw collector.error;
    if (collector.status === undefined) await this.replace();
    return collector.rows;
  }

  query(sql: string, limitMs?: number): Promise<(string | null)[][]> {
    return this.internal(simpleQuery(sql), limitMs);
  }

  async close(): Promise<void> {
    const engine = this.#engine;
    this.#engine = undefined;
    await engine?.close();
  }
}

function timeoutReport(limitMs: number): Report {
  return {
    severity: 'ERROR',
    code: '57014',
    message: `canceling statement due to statement timeout (${limitMs} ms; the embedded engine was restarted)`,
    routine: 'embedded_statement_timeout',
  };
}

/** A statement of the multiplexer's own that the engine refused. */
export class InternalStatementFailed extends Error {
  override readonly name = 'InternalStatementFailed';
  readonly sqlState: string;

  constructor(message: string, sqlState: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

/** Collects the rows of an internal statement. */
class RowCollector {
  readonly rows: (string | null)[][] = [];
  status: TransactionStatus | undefined;
  error: InternalStatementFailed | undefined;
  readonly #splitter = new FrameSplitter(0x7fff_ffff);

  take(bytes: Buffer): void {
    this.#splitter.push(bytes);
    for (let frame = this.#splitter.next(); frame; frame = this.#splitter.next()) {
      if (frame.type === 'D') this.rows.push(readDataRow(frame.bytes));
      if (frame.type === 'Z') {
        this.status = String.fromCharCode(frame.bytes[5] ?? 0) as TransactionStatus;
      }
      if (frame.type === 'E') {
        const fields = readReport(frame.bytes);
        this.error ??= new InternalStatementFailed(
          fields.get('M') ?? 'unknown error',
          fields.get('C') ?? 'XX000',
        );
      }
    }
  }
}
