import type { ClientOutput } from './client.js';

/**
 * The bytes of one answer on their way to a client. The engine waits when too many are not yet
 * taken; a client that takes none for long is holding up everybody.
 */
export class Outflow {
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
