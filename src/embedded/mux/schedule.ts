/**
 * Whose turn it is. Clients wait first come, first served; one that has a transaction or an
 * unfinished pipeline open owns the engine, and nobody else gets it until that ends.
 */
export class Schedule<Client> {
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
