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
