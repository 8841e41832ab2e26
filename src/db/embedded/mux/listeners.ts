import type { ListenChange } from '../sql/statement-facts.js';
import type { Client } from './client.js';

/** Which client listens to which channel. The engine's session listens to all of them. */
export class Listeners {
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
