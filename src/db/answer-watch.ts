import net, { type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { ConsoleError } from './errors.js';

/**
 * What another connection sees of the backend whose answer is awaited: `busy` at a statement, `idle`
 * (done with it, or it never came), `gone` (ended), or `unknown` where the server does not tell.
 */
export type Sight = 'busy' | 'idle' | 'gone' | 'unknown';

/** Milliseconds. */
export type Pace = {
  /** Silence before the first look, and between two looks. */
  lookEveryMs: number;
  /** How long another connection may fail to reach the server before the answer is given up. */
  unreachableMs: number;
  /** The same two once the statement was cancelled, and somebody waits for the end. */
  hurriedLookEveryMs: number;
  hurriedUnreachableMs: number;
};

export const defaultPace: Pace = {
  lookEveryMs: 10_000,
  unreachableMs: 120_000,
  hurriedLookEveryMs: 1_000,
  hurriedUnreachableMs: 5_000,
};

/**
 * Waits for answers that have no time limit of their own, and gives one up that cannot come any more: a
 * network that went silent (a proxy drops the bytes, TCP stays) would hold the console for ever, although
 * the server is long done. Whether it is, another connection sees. An idle backend is believed at the
 * second look, when not a byte came between the two.
 */
export class AnswerWatch {
  readonly #stream: Socket;
  readonly #look: () => Promise<Sight>;
  readonly #pace: Pace;
  readonly #hurry = new AbortController();
  #hurriedAt = -Infinity;
  #failure: ConsoleError | undefined;

  constructor(client: pg.ClientBase, look: () => Promise<Sight>, pace: Pace = defaultPace) {
    // pg declares neither; with TLS the stream is the TLS socket.
    this.#stream = (client as unknown as { connection: { stream: Socket } }).connection.stream;
    this.#look = look;
    this.#pace = pace;
  }

  /**
   * The answer, or an error when it cannot come any more.
   *
   * @throws ConsoleError `connection_lost`, or `interrupted` when it was cancelled and nobody can say what
   * became of it; what `pending` throws as it is.
   */
  async wait<Result>(pending: Promise<Result>): Promise<Result> {
    const answered = new AbortController();
    void this.#watch(answered.signal);
    try {
      return await pending;
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      answered.abort();
    }
  }

  /** The statement was cancelled: look at once, and wait less for a server that cannot be reached. */
  hurry(): void {
    this.#hurriedAt = performance.now();
    this.#hurry.abort();
  }

  /** Breaks the connection; a waiting statement fails with the error. */
  abandon(error: ConsoleError): void {
    this.#failure ??= error;
    this.#stream.destroy();
  }

  async #watch(answered: AbortSignal): Promise<void> {
    const isAnswered = () => answered.aborted;
    let reachedAt = performance.now();
    let idleAt: number | undefined;
    while (await this.#pause(answered)) {
      const bytes = this.#stream.bytesRead;
      const sight = await this.#lookBriefly();
      if (isAnswered()) return;
      if (typeof sight === 'string') reachedAt = performance.now();
      if (sight === 'gone' || (sight === 'idle' && idleAt === bytes)) {
        // An answer that is on its way arrives now.
        await sleep(Math.min(1_000, this.#pace.lookEveryMs), undefined, { ref: false });
        if (!isAnswered()) this.abandon(lostAnswer(sight));
        return;
      }
      idleAt = sight === 'idle' ? bytes : undefined;
      const limit = this.#hurried ? this.#pace.hurriedUnreachableMs : this.#pace.unreachableMs;
      if (performance.now() - Math.max(reachedAt, this.#hurriedAt) > limit) {
        this.abandon(this.#hurried ? unconfirmedCancel(sight) : unreachable(sight));
        return;
      }
    }
  }

  /** The sight, or the error because of which there is none. */
  async #lookBriefly(): Promise<unknown> {
    const limit = sleep(this.#pace.hurriedUnreachableMs, undefined, { ref: false });
    const look = this.#look().catch((error: unknown) => error);
    return Promise.race([look, limit.then(() => new Error('nobody answered the look in time'))]);
  }

  get #hurried(): boolean {
    return this.#hurry.signal.aborted;
  }

  /** False when the answer came. */
  async #pause(answered: AbortSignal): Promise<boolean> {
    const { lookEveryMs, hurriedLookEveryMs } = this.#pace;
    const wake = this.#hurried ? answered : AbortSignal.any([answered, this.#hurry.signal]);
    await sleep(this.#hurried ? hurriedLookEveryMs : lookEveryMs, undefined, {
      signal: wake,
      ref: false,
    }).catch(() => undefined);
    return !answered.aborted;
  }
}

function lostAnswer(sight: 'idle' | 'gone'): ConsoleError {
  return new ConsoleError(
    'connection_lost',
    sight === 'gone'
      ? 'The answer never came: the server has ended the session.'
      : 'The answer never came: the connection is silent, and the server is not at the statement any more.',
    {
      hint: 'A proxy or a firewall on the way may drop connections that are quiet for long. What the statement has done shows in the database.',
    },
  );
}

function unreachable(cause: unknown): ConsoleError {
  return new ConsoleError(
    'connection_lost',
    'The answer never came: the connection is silent, and the server cannot be reached otherwise.',
    { hint: 'The server may still be at the statement, or have finished it.', cause },
  );
}

function unconfirmedCancel(cause: unknown): ConsoleError {
  return new ConsoleError(
    'interrupted',
    'The statement was cancelled, but the server cannot be reached to confirm it.',
    { hint: 'The server may still be at it; pg_stat_activity shows it.', cause },
  );
}

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

/** From the server's BackendKeyData message. */
export type CancelKey = { processId: number; secret: number };

const answerLimitMs = 3_000;

const cancelRequestCode = 80_877_102;

/**
 * Sends a CancelRequest over a connection of its own, as the protocol has it; the server closes it
 * without an answer. Source: https://www.postgresql.org/docs/current/protocol-flow.html
 */
export function sendCancelRequest(
  address: { host: string; port: number },
  { processId, secret }: CancelKey,
): Promise<void> {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(cancelRequestCode, 4);
  message.writeInt32BE(processId, 8);
  message.writeInt32BE(secret, 12);
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const socket = host.startsWith('/')
      ? net.connect({ path: `${host}/.s.PGSQL.${port}` })
      : net.connect({ host, port });
    // The server ends the connection when the cancel is under way.
    socket.setTimeout(answerLimitMs, () => socket.destroy(new Error('no answer')));
    socket.on('connect', () => socket.end(message));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
  });
}

/** A backend as it is known again, although process ids are used again. */
export type Backend = { pid: number; started: string };

const startedAt = 'extract(epoch FROM backend_start)::text';
const backendColumns = `pid, ${startedAt} AS started`;

/** Undefined where the server does not list its sessions, as the embedded one. */
export async function backendOf(client: pg.ClientBase): Promise<Backend | undefined> {
  const { rows } = await client.query<Backend>(
    `SELECT ${backendColumns} FROM pg_stat_activity WHERE pid = pg_backend_pid()`,
  );
  return rows[0];
}

/**
 * Ends a backend of ours whose connection has gone silent, where it is at nothing: the server does not learn of the end, and would keep its
 * locks for hours. One that is still at a statement goes on with it.
 */
export async function endIdleBackend(
  backend: Backend,
  read: (text: string, values: unknown[]) => Promise<unknown>,
): Promise<void> {
  const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1 AND ${startedAt} = $2 AND starts_with(state, 'idle')`;
  await read(text, [backend.pid, backend.started]);
}

/** What a connection sees of a backend that is not its own; `unknown` where the server has answered, although not this. */
export async function sightOf(
  backend: Backend | undefined,
  read: (text: string, values: unknown[]) => Promise<(Backend & { state: string | null })[]>,
): Promise<Sight> {
  const text = `SELECT ${backendColumns}, state FROM pg_stat_activity WHERE pid = $1`;
  const rows = await read(text, [backend?.pid ?? null]).catch((error: unknown) => {
    if (error instanceof ConsoleError && error.sqlState !== undefined) return undefined;
    throw error;
  });
  if (backend === undefined || rows === undefined) return 'unknown';
  const row = rows.find(({ started }) => started === backend.started);
  if (row === undefined) return 'gone';
  if (row.state === null || row.state === 'disabled') return 'unknown';
  return row.state.startsWith('idle') ? 'idle' : 'busy';
}
