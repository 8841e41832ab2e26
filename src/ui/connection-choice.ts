import type { Database } from '../db/database.js';
import type { ConnectionBadge } from './draw/header.js';

/** A database that the console can be on: of the config file, the embedded one, or the one it was opened on. */
export type ConnectionChoice = {
  /** What is typed behind `:connect`. */
  name: string;
  /** Where it is, without any secret. */
  says: string;
  /** Of the header; the embedded database and an unnamed one have none. */
  badge: ConnectionBadge | undefined;
  readOnly: boolean;
  cadenceMs: number | undefined;
  windowMs: number | undefined;
  budgetUsdPerDay?: number | undefined;
  /** Starts the collector of agents' events for it; absent: it cannot be told where. */
  follow?: (() => void) | undefined;
  /** Resolves when rows have been written into the past, which the panes may have counted before. */
  pastWritten?: Promise<unknown>;
  /**
   * Opens it anew; `onProgress` gets a line while the embedded one starts. Who opens it closes it.
   *
   * @throws ConsoleError
   */
  open(onProgress: (line: string) => void): Promise<Database>;
};
