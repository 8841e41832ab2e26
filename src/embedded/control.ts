import net from 'node:net';
import { socketFile } from './folder/paths.js';
import type { Progress } from './folder/template.js';
import { controlPacket } from './mux/greeting.js';
import type { ErrorCode } from '../db/errors.js';

/** Nobody answers at the socket: the daemon is not there, or not yet, or no longer. */
export class NoDaemon extends Error {
  override readonly name = 'NoDaemon';

  /** @param isSilent its socket is there, and no answer came in time */
  constructor(
    reason: string,
    readonly isSilent: boolean,
  ) {
    super(`the embedded database does not answer: ${reason}`);
  }
}

/**
 * Asks the daemon at a socket folder. Progress comes as it is reported; the promise settles with
 * the last answer.
 * @param patienceMs how long no answer at all may come.
 */
export function askDaemon(
  socketFolder: string,
  op: ControlRequest['op'],
  onProgress: Progress = () => undefined,
  patienceMs = 30_000,
): Promise<Exclude<ControlAnswer, { kind: 'progress' }>> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: socketFile(socketFolder) });
    let text = '';
    const fail = (reason: string, isSilent = false): void => {
      socket.destroy();
      reject(new NoDaemon(reason, isSilent));
    };
    socket.setTimeout(patienceMs, () => fail(`no answer within ${patienceMs} ms`, true));
    socket.on('error', ({ message }) => fail(message));
    socket.on('close', () => fail('the connection ended'));
    socket.on('connect', () => {
      const request: ControlRequest = { op, protocol: controlProtocol };
      socket.write(controlPacket(JSON.stringify(request)));
    });
    socket.on('data', (piece) => {
      text += piece.toString('utf8');
      for (let line = text.indexOf('\n'); line >= 0; line = text.indexOf('\n')) {
        const answer = JSON.parse(text.slice(0, line)) as ControlAnswer;
        text = text.slice(line + 1);
        if (answer.kind === 'progress') {
          const { message, done, total } = answer;
          onProgress({
            message,
            ...(done === undefined ? {} : { done }),
            ...(total === undefined ? {} : { total }),
          });
        } else {
          resolve(answer);
          socket.destroy();
        }
      }
    });
  });
}

/** One line of the daemon's log; what went wrong is a warning, what ends it an error. */
export type DaemonLog = (message: string, level?: 'info' | 'warning' | 'error') => void;

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
  /** Absent: a daemon of an earlier version. */
  dataFolder?: string;
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
