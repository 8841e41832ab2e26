import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { secondsBetween } from '../../db/quote.js';
import { openConsoleTable } from '../../deploy/console-schema.js';
import { isAlive, thisProcess, type ProcessIdentity } from '../../core/folder-lock.js';

/** A batch that reads, computes and writes gets more time than a screen's question. */
export const limits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 };

/** Settings of what learning reads: it takes one processor, not one more for each worker of a plan. */
export const oneProcessor = { max_parallel_workers_per_gather: '0' };

/** Of each transaction's time, where nobody says otherwise. */
const usualRestShare = 0.5;

/** Pauses behind a transaction of so many milliseconds: writers that waited for a processor get it. */
export type Rest = (workedMs: number) => Promise<void>;

export function restOf(options: {
  restShare?: number | undefined;
  signal?: AbortSignal | undefined;
}): Rest {
  const { restShare = usualRestShare, signal } = options;
  return (workedMs) => pause(workedMs * restShare, signal);
}

/** Ends at once with the signal. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch(() => undefined);
}

const leaseSeconds = 20;
const renewedEveryMs = 5_000;

type LearnerRow = {
  holder: string | null;
  process: ProcessIdentity | null;
  held: boolean;
  seconds_left: number;
};

/**
 * The right to learn from a schema, which one process has at a time. It is renewed while that process lives; one that
 * was killed is replaced at once when it ran on this machine, else when its lease is over.
 */
export class LearnerLease {
  readonly #database: Database;
  readonly #holder = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws ConsoleError `busy` while another process learns; `privilege_missing` */
  static async take(database: Database): Promise<LearnerLease> {
    const lease = new LearnerLease(database);
    const { schema, user } = database.capabilities;
    await database.transaction({ lockTimeoutMs: 5_000 }, async (tx) => {
      if (!(await openConsoleTable(tx, 'learners'))) {
        throw new ConsoleError(
          'privilege_missing',
          `"${user}" may not keep what is learned in trace_console.`,
          {
            hint: 'Learn as the owner of the tables, or try --dry-run.',
          },
        );
      }
      await tx.query(
        'INSERT INTO trace_console.learners (target_schema) VALUES ($1) ON CONFLICT DO NOTHING',
        [schema],
      );
      const { rows } = await tx.query<LearnerRow>(
        `SELECT holder, process, holder IS NOT NULL AND lease_until > clock_timestamp() AS held,
           GREATEST(0, ${secondsBetween('clock_timestamp()', 'lease_until')}) AS seconds_left
         FROM trace_console.learners WHERE target_schema = $1 FOR UPDATE`,
        [schema],
      );
      const [row] = rows;
      if (row?.held && !(row.process && isAlive(row.process) === false)) throw taken(row);
      await tx.query(
        `UPDATE trace_console.learners SET holder = $2, process = $3::jsonb,
           lease_until = clock_timestamp() + make_interval(secs => $4)
         WHERE target_schema = $1`,
        [schema, lease.#holder, JSON.stringify(thisProcess()), leaseSeconds],
      );
    });
    lease.#timer = setInterval(() => {
      lease.#renewing = lease.#renew().catch(() => undefined);
    }, renewedEveryMs);
    lease.#timer.unref();
    return lease;
  }

  /**
   * To be called first in each transaction that writes: it keeps the lease until the commit, and another learner out.
   *
   * @throws ConsoleError `busy` when another process took over
   */
  async hold(tx: Queryable): Promise<void> {
    const { rowCount } = await tx.query(
      `UPDATE trace_console.learners SET lease_until = clock_timestamp() + make_interval(secs => $3)
       WHERE target_schema = $1 AND holder = $2`,
      [this.#database.capabilities.schema, this.#holder, leaseSeconds],
    );
    if (rowCount !== 1) {
      throw new ConsoleError('busy', 'Another process took over learning.', {
        hint: 'This one was silent for too long; what it had written is kept.',
      });
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
    await this.#database
      .transaction({}, (tx) =>
        tx.query(
          `UPDATE trace_console.learners SET holder = NULL, process = NULL, lease_until = '-infinity'
           WHERE target_schema = $1 AND holder = $2`,
          [this.#database.capabilities.schema, this.#holder],
        ),
      )
      .catch(() => undefined);
  }

  async #renew(): Promise<void> {
    await this.#database.transaction({}, (tx) => this.hold(tx));
  }
}

function taken({ process, seconds_left }: LearnerRow): ConsoleError {
  const who = process ? ` (process ${process.pid} on ${process.place.split(' ')[0] ?? '?'})` : '';
  return new ConsoleError('busy', `Another process learns from this schema${who}.`, {
    hint: `Its lease ends in ${Math.ceil(seconds_left)} s unless it is renewed; one learner is enough.`,
    sqlState: '55006',
  });
}
