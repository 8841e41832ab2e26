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

/** Errors of files, by the numbers of WASI that the engine's own file system has for them. */
const fileErrors = new Map([
  [2, 'permission denied'],
  [19, 'the disk quota is used up'],
  [29, 'an input or output error'],
  [44, 'no such file'],
  [51, 'no space left on device'],
  [69, 'the file system is read-only'],
]);

/** Whether the engine says that it found no room; it speaks English only. */
export const saysNoRoom = (reason: string): boolean =>
  /no space left on device|disk quota/i.test(reason);

/** What the engine threw, in words: its file system throws objects that are no errors. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  const { errno } = Object(error) as { errno?: unknown };
  if (typeof errno !== 'number') return String(error);
  return `its files: ${fileErrors.get(errno) ?? `error ${errno}`}`;
}
