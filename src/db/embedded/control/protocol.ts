import type { ErrorCode } from '../../errors.js';

/** Raised when a console and a daemon of different versions cannot talk any more. */
export const controlProtocol = 1;

/**
 * What a console asks a daemon, over the socket that clients of PostgreSQL use:
 * `hello` answers when the engine is ready, with its progress until then; `status` answers at
 * once; `retire` stops the daemon if nobody uses it; `stop` stops it in any case.
 */
export type ControlRequest = { op: 'hello' | 'status' | 'retire' | 'stop'; protocol: number };

export type DaemonStatus = {
  protocol: number;
  /** The console's version, and which build of it. */
  version: string;
  build: string;
  pid: number;
  phase: 'starting' | 'ready' | 'stopping';
  /** Connected clients of PostgreSQL. */
  clients: number;
  /** When the daemon started (ISO 8601). */
  startedAt: string;
  /** How often the engine had to be restarted since. */
  engineRestarts: number;
  /** When it ends by itself if no client comes (ISO 8601); undefined while there are some. */
  exitsAt?: string;
};

export type ControlAnswer =
  | { kind: 'progress'; message: string; done?: number; total?: number }
  | { kind: 'status'; status: DaemonStatus }
  | { kind: 'refused'; status: DaemonStatus }
  | { kind: 'failed'; code: ErrorCode; message: string; hint?: string };
