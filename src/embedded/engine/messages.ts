/** What the daemon's main thread and the engine's worker thread say to each other. */

export type WorkerData = {
  /** The folder of PostgreSQL's files; undefined keeps them in memory. */
  dataFolder: string | undefined;
  /** Bytes posted by the worker that nobody has taken yet; the worker waits above its limit. */
  inFlight: SharedArrayBuffer;
};

export type ToWorker = { kind: 'run'; id: number; bytes: Uint8Array } | { kind: 'close' };

export type FromWorker =
  | { kind: 'ready'; parameters: [string, string][]; processId: number }
  | { kind: 'failed'; message: string }
  | { kind: 'data'; id: number; bytes: Uint8Array }
  | { kind: 'done'; id: number }
  | { kind: 'broken'; message: string }
  | { kind: 'closed' };

/** The one role and the one database of an engine; every client is its superuser. */
export const engineUser = 'postgres';
export const engineDatabase = 'postgres';

/** The PostgreSQL major version whose files this engine reads (a test compares it with PGlite). */
export const engineMajor = '18';
