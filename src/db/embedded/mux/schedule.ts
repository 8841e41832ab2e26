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
