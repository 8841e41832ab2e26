import { Worker } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerData } from './messages.js';

/** Node's default of 4 MB overflows silently in a deep recursion and leaves the engine broken. */
const stackSizeMb = 32;

/** The engine ended while it ran something: it was terminated, or it broke. */
export class EngineLost extends Error {
  override readonly name = 'EngineLost';
}

/** Receives what the engine answers; `release` says that these bytes no longer need memory. */
export type EngineSink = (bytes: Buffer, release: () => void) => void;

type Run = { id: number; sink: EngineSink; resolve: () => void; reject: (error: Error) => void };

/**
 * PGlite in a worker thread. One run at a time: `run` while another is under way is a mistake of
 * the caller. A runaway statement can only be ended with its thread (`terminate`), after which a
 * new engine is to be started.
 */
export class Engine {
  readonly #worker: Worker;
  readonly #credit: Int32Array;
  #run: Run | undefined;
  #nextId = 1;
  #lost: string | undefined;
  #ending: string | undefined;
  #closed: (() => void) | undefined;
  #onLost: (reason: string) => void = () => undefined;
  /** ParameterStatus of a fresh session, as the engine itself reports it. */
  parameters: [string, string][] = [];

  private constructor(worker: Worker, credit: Int32Array) {
    this.#worker = worker;
    this.#credit = credit;
  }

  /** Starts an engine on a folder of PostgreSQL's files (undefined: in memory). */
  static async start(program: URL, dataFolder?: string): Promise<Engine> {
    const inFlight = new SharedArrayBuffer(4);
    const worker = new Worker(program, {
      workerData: { dataFolder, inFlight } satisfies WorkerData,
      resourceLimits: { stackSizeMb },
    });
    const engine = new Engine(worker, new Int32Array(inFlight));
    await engine.#opened();
    return engine;
  }

  /** Called once when the engine ends by itself, in a run or outside of one. */
  onLost(listener: (reason: string) => void): void {
    this.#onLost = listener;
  }

  #opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          this.parameters = message.parameters;
          resolve();
        } else if (message.kind === 'failed') {
          this.#ending ??= message.message;
          void this.#worker.terminate();
        } else this.#receive(message);
      });
      this.#worker.on('error', (error) => {
        this.#ending ??= `the engine's thread failed: ${error.message}`;
      });
      this.#worker.on('exit', () => {
        const reason = this.#ending ?? "the engine's thread ended";
        reject(new EngineLost(reason));
        this.#end(reason);
      });
    });
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'closed') this.#closed?.();
    else if (message.kind === 'broken') {
      this.#ending ??= message.message;
      void this.#worker.terminate();
    } else if (message.kind === 'data') {
      const { bytes } = message;
      const release = (): void => this.#release(bytes.byteLength);
      const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (this.#run?.id === message.id) this.#run.sink(data, release);
      else release();
    } else if (message.kind === 'done' && this.#run?.id === message.id) {
      const { resolve } = this.#run;
      this.#run = undefined;
      resolve();
    }
  }

  #release(bytes: number): void {
    Atomics.sub(this.#credit, 0, bytes);
    Atomics.notify(this.#credit, 0);
  }

  /** Only when the thread has ended: another engine on its folder would corrupt it. */
  #end(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    const run = this.#run;
    this.#run = undefined;
    run?.reject(new EngineLost(reason));
    if (this.#closed) this.#closed();
    else this.#onLost(reason);
  }

  /** Runs one buffer of whole frontend messages; resolves when the engine has answered them all. */
  run(bytes: Buffer, sink: EngineSink): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(new EngineLost(this.#lost));
        return;
      }
      if (this.#run !== undefined) throw new Error('the engine runs one buffer at a time');
      const id = this.#nextId;
      this.#nextId += 1;
      this.#run = { id, sink, resolve, reject };
      const copy = new Uint8Array(bytes);
      this.#post({ kind: 'run', id, bytes: copy }, [copy.buffer]);
    });
  }

  #post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** Ends the thread at once, whatever it does; what was committed is in the files. */
  async terminate(reason: string): Promise<void> {
    this.#onLost = () => undefined;
    this.#ending ??= reason;
    await this.#worker.terminate();
  }

  /** Closes the database, with its shutdown checkpoint, and ends the thread. */
  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#post({ kind: 'close' });
    });
    this.#lost = 'closed';
    await this.#worker.terminate();
  }
}
