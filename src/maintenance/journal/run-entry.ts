import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Outcome, Progress } from '../action.js';
import { lease } from './begin-run.js';
import { showPresence } from './presence.js';

/** Progress is written at most this often. */
const progressEveryMs = 2_000;
/** An entry is nobody's to wait for long. */
const limits = { statementTimeoutMs: 5_000, lockTimeoutMs: 1_000 };

type End =
  { state: 'done' | 'cancelled'; outcome: Outcome<unknown> } | { state: 'failed'; error: unknown };

/**
 * The journal's row of a running action: gives its signs of life and its progress, also while the
 * action waits for a long statement, each on a short transaction of its own.
 */
export class RunEntry {
  readonly #database: Database;
  readonly #id: number;
  readonly #onLost: () => void;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #writtenAt = performance.now();
  #progress: Progress | undefined;
  #written: Progress | undefined;
  #endPresence = (): Promise<void> => Promise.resolve();

  /** @param onLost the run was taken for dead, and another one may be at work */
  constructor(database: Database, id: number, onLost: () => void) {
    this.#database = database;
    this.#id = id;
    this.#onLost = onLost;
  }

  /** To be awaited before the action's first statement, which may be long. */
  async start(): Promise<void> {
    this.#endPresence = await showPresence(this.#database, this.#id);
    this.#timer = setInterval(() => this.#tick(), progressEveryMs / 2);
    this.#timer.unref();
  }

  note(progress: Progress): void {
    this.#progress = progress;
  }

  /** Writes the end; the reason when it could not. */
  async end(end: End): Promise<string | undefined> {
    clearInterval(this.#timer);
    await this.#writing;
    const outcome = end.state === 'failed' ? undefined : end.outcome;
    try {
      const found = await this.#update(
        `state = $2, ended_at = clock_timestamp(), lease_until = clock_timestamp(),
         progress = COALESCE($3::jsonb, progress), result = $4::jsonb, summary = $5, error = $6::jsonb`,
        [
          end.state,
          jsonOrNull(this.#progress),
          jsonOrNull(outcome?.result),
          outcome?.summary ?? null,
          end.state === 'failed' ? JSON.stringify(errorJson(end.error)) : null,
        ],
      );
      return found ? undefined : 'its row is gone, or another console took it for dead.';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await this.#endPresence();
    }
  }

  #tick(): void {
    const since = performance.now() - this.#writtenAt;
    const news = this.#progress !== this.#written && since >= progressEveryMs;
    if (this.#isWriting || !(news || since >= lease.renewedEveryMs)) return;
    this.#isWriting = true;
    this.#writtenAt = performance.now();
    this.#writing = this.#renew().finally(() => (this.#isWriting = false));
  }

  async #renew(): Promise<void> {
    const progress = this.#progress;
    try {
      const found = await this.#update(
        `heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + make_interval(secs => $2),
         progress = COALESCE($3::jsonb, progress)`,
        [lease.seconds, jsonOrNull(progress)],
      );
      this.#written = progress;
      if (!found) this.#onLost();
    } catch {
      // The next one may succeed; whether the action goes on is for its own statements to find out.
    }
  }

  async #update(assignments: string, values: readonly unknown[]): Promise<boolean> {
    const { rowCount } = await this.#database.transaction(limits, (tx) =>
      tx.query(
        `UPDATE trace_console.maintenance_runs SET ${assignments} WHERE id = $1 AND state = 'running'`,
        [this.#id, ...values],
      ),
    );
    return rowCount === 1;
  }
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function errorJson(error: unknown): object {
  if (!(error instanceof ConsoleError)) {
    return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint, sqlState } = error;
  return { code, message, hint, sqlState };
}
