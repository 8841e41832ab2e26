import type pg from 'pg';
import { sendCancelRequest, type CancelKey } from './connection/cancel-request.js';

/** What a CancelRequest names; pg keeps it on the client without declaring it. */
export function cancelKeyOf(client: pg.ClientBase): CancelKey {
  const { processID, secretKey } = client as unknown as {
    processID: number | null;
    secretKey: number | null;
  };
  return { processId: processID ?? 0, secret: secretKey ?? 0 };
}

/** The connections that are at a statement now. */
export class BusyClients {
  readonly #clients = new Set<pg.ClientBase>();

  add(client: pg.ClientBase): void {
    this.#clients.add(client);
  }

  delete(client: pg.ClientBase): void {
    this.#clients.delete(client);
  }

  /** Asks the server to end what these are at; what cannot be asked ends by its own time-out. */
  async cancelAll(address: { host: string; port: number }): Promise<void> {
    await Promise.allSettled(
      [...this.#clients].map((client) => sendCancelRequest(address, cancelKeyOf(client))),
    );
  }
}
