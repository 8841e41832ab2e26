import type { AnswerWatch } from './answer-watch.js';
import type { Socket } from 'node:net';
import type pg from 'pg';
import type { CopyStreamQuery } from 'pg-copy-streams';
import { sqlStateOf } from './connection/translate-error.js';
import { ConsoleError, isUnanswered } from './errors.js';
import type { Queryable, Transaction } from './queryable.js';
import { quoteLiteral } from './quote.js';

/** Limits and kind of one transaction. Times are milliseconds; 0 means no limit. */
export type TransactionOptions = {
  readOnly?: boolean | undefined;
  /** Default 10,000: a console never keeps a server busy for longer unasked. */
  statementTimeoutMs?: number;
  /** Default 1,000: a console never queues behind DDL, where others would queue behind it. */
  lockTimeoutMs?: number;
  /** How long the client waits beyond the statement time-out before it hangs up; default 5,000. */
  graceMs?: number;
  isolation?: 'READ COMMITTED' | 'REPEATABLE READ';
  /** A ready list of quoted schemas instead of the target's. */
  searchPath?: string;
  /** Whose question it is, for the log of statements: a pane, an action. */
  purpose?: string;
  /** Whether it says when it began by the server's clock: a question less to ask. */
  tellsTime?: boolean;
  /** Told how long each answer took, that to BEGIN among them. */
  answered?: (answer: Answered) => void;
  /** Further settings by name, each applied with SET LOCAL. */
  settings?: Readonly<Record<string, string>>;
};

/**
 * How long a statement took: since the answer before it, where it was sent before that came. Only one that came alone tells of the way
 * to the server and back.
 */
export type Answered = { elapsedMs: number; isAlone: boolean };

/** Milliseconds. */
export const defaultLimits = { statementTimeoutMs: 10_000, lockTimeoutMs: 1_000, graceMs: 5_000 };

/** What every session of the console needs, whatever the role, the database or the server has set. */
export const ownSettings: Readonly<Record<string, string>> = {
  // pg reads timestamps and intervals in these forms only.
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  // The texts of definitions are compared, and our statements hold string constants.
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  // Where it is off, a question of rows that a policy filters fails; which tables are filtered is said.
  row_security: 'on',
  // At 0 and below the server rounds what it shows.
  extra_float_digits: '1',
};

/**
 * BEGIN with its settings in one round trip. All are SET LOCAL: they end with the transaction, also
 * behind a transaction pooler.
 */
export function beginStatement(options: TransactionOptions): string {
  const settings: Record<string, string> = {
    statement_timeout: String(options.statementTimeoutMs ?? defaultLimits.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs ?? defaultLimits.lockTimeoutMs),
    ...ownSettings,
    ...options.settings,
  };
  const kind = options.readOnly ? ' READ ONLY' : '';
  const isolation = options.isolation ? ` ISOLATION LEVEL ${options.isolation}` : '';
  return [
    `BEGIN${isolation}${kind}`,
    ...Object.entries(settings).map(
      ([name, value]) => `SET LOCAL ${name} = ${quoteLiteral(value)}`,
    ),
    ...(options.searchPath ? [`SET LOCAL search_path = ${options.searchPath}`] : []),
    ...(options.tellsTime ? [`SELECT date_part('epoch', now()) * 1000 AS now_ms`] : []),
  ].join('; ');
}

/** A client that is stopped in the middle of a transaction (Ctrl-Z) keeps its locks, or the rows that it has seen, no longer. */
const longestIdle = { ofQuestion: '1min', ofWork: '10min' };

/**
 * What the role, the database or the server allows a transaction, or its client between two statements, ends none of ours: each has limits
 * of its own. The embedded engine has none of them.
 */
export function transactionSettings(
  { statementTimeoutMs = defaultLimits.statementTimeoutMs }: TransactionOptions,
  { embedded, serverVersion }: { embedded: boolean; serverVersion: number },
): Record<string, string> {
  if (embedded) return {};
  const isLong = statementTimeoutMs === 0 || statementTimeoutMs > defaultLimits.statementTimeoutMs;
  return {
    idle_in_transaction_session_timeout: longestIdle[isLong ? 'ofWork' : 'ofQuestion'],
    ...(serverVersion >= 170_000 ? { transaction_timeout: '0' } : {}),
  };
}

/** The same where the version of the server is not known yet. */
export const unlimitedTransaction = `SELECT set_config(name, value, true)
  FROM (VALUES ('idle_in_transaction_session_timeout', '${longestIdle.ofQuestion}'), ('transaction_timeout', '0')) AS own (name, value)
  WHERE current_setting(name, true) IS NOT NULL AND version() NOT LIKE '%(PGlite %'`;

/** BEGIN for one transaction on an open database. */
export function beginStatementOn(
  capabilities: { embedded: boolean; serverVersion: number; searchPath: string },
  options: TransactionOptions,
): string {
  const { settings, searchPath = capabilities.searchPath } = options;
  const wanted = { ...transactionSettings(options, capabilities), ...settings };
  return beginStatement({ ...options, settings: wanted, searchPath });
}

/** What {@link beginStatement} tells with `tellsTime`: the driver gives a result for each of several statements. */
export function startOf(begun: unknown): number | undefined {
  const last: unknown = Array.isArray(begun) ? begun.at(-1) : begun;
  const { rows } = last as { rows?: { now_ms?: number }[] };
  return rows?.[0]?.now_ms;
}

/** Limits of the statements that look after another one, or cancel it (ms). */
export const briefLimits = { statementTimeoutMs: 3_000, graceMs: 1_000 };

/** A cut network would hold a connection for ever; 0 where the statement itself has no limit. */
export function clientTimeoutMs({
  statementTimeoutMs = defaultLimits.statementTimeoutMs,
  graceMs = defaultLimits.graceMs,
}: TransactionOptions): number {
  return statementTimeoutMs === 0 ? 0 : statementTimeoutMs + graceMs;
}

export function withTimeout(client: pg.PoolClient, timeoutMs: number): Queryable['query'] {
  return <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
    // `query_timeout` of one statement is documented by pg but missing from its types. Without
    // values the simple protocol is used, which takes several statements at once.
    const config: pg.QueryConfig & { query_timeout?: number } = { text };
    if (values.length > 0) config.values = [...values];
    if (timeoutMs > 0) config.query_timeout = timeoutMs;
    return client.query<Row>(config);
  };
}

/** Sends the data of a `COPY … FROM STDIN`. Its buffer may be used again when it is through. */
export function copyWithTimeout(client: pg.PoolClient, timeoutMs: number): Transaction['copy'] {
  return async (text, data) => {
    // Only an import needs it.
    const { default: copyStreams } = await import('pg-copy-streams');
    const copy: CopyStreamQuery & { query_timeout?: number } = copyStreams.from(text);
    if (timeoutMs > 0) copy.query_timeout = timeoutMs;
    // pg takes no query of another class while it may send several at once; every one before it was answered.
    const mode = client as unknown as { pipeline: boolean };
    mode.pipeline = false;
    try {
      await new Promise<void>((resolve, reject) => {
        copy.once('finish', resolve).once('error', reject);
        client.query(copy).end(data);
      });
    } finally {
      mode.pipeline = true;
    }
    return { rowCount: copy.rowCount };
  };
}

/** The same promise; that it fails is heard elsewhere, or of no account. */
export function heeded<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => undefined);
  return promise;
}

/**
 * What is sent to a connection until this turn ends goes out as one. Of two writes to a connection that the server has ended the second
 * fails before anybody can read why.
 */
export function sendTogether(client: pg.ClientBase): void {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

/**
 * What is asked within one transaction. Statements that are sent together are run one after the other: each waits for those before
 * it, too. Of several parts of the work one may go on when another has failed: nothing is sent any more once it is over.
 */
export class Asked {
  #underWay = 0;
  #answeredAtMs = -Infinity;
  #firstFailure: Error | undefined;
  isOver = false;
  /** For statements without a time limit. */
  watch: AnswerWatch | undefined;
  readonly #failed: (error: unknown, sinceMs: number) => Error;
  readonly #answered: TransactionOptions['answered'];

  /** @param failed what is thrown of an error, and since when (`performance.now`) the statement is waited for */
  constructor(
    failed: (error: unknown, sinceMs: number) => Error,
    answered: TransactionOptions['answered'],
  ) {
    this.#failed = failed;
    this.#answered = answered;
  }

  async answer<Answer>(ask: (underWay: number) => Promise<Answer>): Promise<Answer> {
    const askedAtMs = performance.now();
    this.#underWay += 1;
    try {
      const answer = ask(this.#underWay);
      const result = await (this.watch?.wait(answer) ?? answer);
      // Answers come in order: one behind a failure tells that a savepoint was gone back to.
      this.#firstFailure = undefined;
      return result;
    } catch (error) {
      // Not since the answer before: a busy client reads both at once, and would take a time-out for somebody's cancel.
      const failure = this.#failed(error, askedAtMs);
      this.#firstFailure ??= failure;
      // What was sent beside it was not run, and only says so.
      throw sqlStateOf(error) === '25P02' ? this.#firstFailure : failure;
    } finally {
      const now = performance.now();
      const before = this.#answeredAtMs;
      this.#underWay -= 1;
      this.#answeredAtMs = now;
      const isAlone = askedAtMs >= before;
      // Nobody waits for the answer to COMMIT.
      if (!this.isOver) this.#answered?.({ elapsedMs: now - Math.max(askedAtMs, before), isAlone });
    }
  }

  whileOpen(query: Queryable['query']): Queryable['query'] {
    return (text, values) =>
      this.isOver
        ? Promise.reject(new ConsoleError('internal', 'The transaction has ended.'))
        : query<never>(text, values);
  }
}

/** Sends statements while BEGIN is on its way, which saves its round trip. Where BEGIN fails, that is the reason why they do. */
export function behind(begun: Promise<unknown>, run: Queryable['query']): Queryable['query'] {
  return async (text, values) => {
    const answer = heeded(run<never>(text, values));
    await begun;
    return answer;
  };
}

/** After these the connection is of no use; a ROLLBACK would wait behind the lost statement. */
export function breaksClient(error: ConsoleError): boolean {
  return error.code === 'connection_lost' || isUnanswered(error);
}

/** No network is between: it runs one statement after the other, and another client's takes long. */
function engineBusy(cause: ConsoleError): ConsoleError {
  return new ConsoleError('busy', 'The embedded engine is busy with another statement.', {
    hint: 'It runs one at a time; this one did not get its turn in time.',
    cause,
  });
}

/** Why the embedded database gave no answer: its daemon, which answers whatever its engine is at, says that it is there, or is silent itself. */
export async function whyUnanswered(
  error: ConsoleError,
  answers: (() => Promise<unknown>) | undefined,
): Promise<ConsoleError> {
  if (!isUnanswered(error) && error.code !== 'connection_timeout') return error;
  try {
    await answers?.();
  } catch (silence) {
    if (silence instanceof ConsoleError) return silence;
  }
  return isUnanswered(error) ? engineBusy(error) : error;
}

/** More than a pool has connections: all of them may have been idle for too long. */
const mostAttempts = 24;

/** A server ends idle sessions outside of transactions only (idle_session_timeout): what finds its connection so has not begun. */
export async function againUnlessBegun<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let left = mostAttempts; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      const isIdleEnd = error instanceof ConsoleError && error.sqlState === '57P05';
      if (!isIdleEnd || left <= 1) throw error;
    }
  }
}

export async function rollsBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await withTimeout(client, defaultLimits.graceMs)('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}
