import { fileSystemReason, whyUnreadable } from '../core/folders.js';

/** Exit codes of every command, documented in docs/commands.md. */
export const exitCodes = {
  good: 0,
  notGood: 1,
  usage: 2,
  cannotConnect: 3,
  refused: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Codes by which a program (and a test) tells one failure from another. */
export type ErrorCode =
  | 'usage'
  | 'connection_source_invalid'
  | 'connection_refused'
  | 'connection_timeout'
  | 'connection_lost'
  | 'authentication_failed'
  | 'database_missing'
  | 'tls_failed'
  | 'server_unsupported'
  | 'too_many_connections'
  | 'extension_missing'
  | 'privilege_missing'
  | 'schema_missing'
  | 'schema_incompatible'
  | 'schema_differs'
  | 'confirmation_needed'
  | 'read_only'
  | 'standby'
  | 'row_security'
  | 'cluster'
  | 'pooled_connection'
  | 'statement_timeout'
  | 'lock_timeout'
  | 'query_failed'
  | 'not_found'
  | 'file_not_written'
  | 'embedded_unavailable'
  | 'busy'
  | 'file_failed'
  | 'interrupted'
  | 'internal';

const exitCodeOf: Partial<Record<ErrorCode, ExitCode>> = {
  usage: exitCodes.usage,
  connection_source_invalid: exitCodes.usage,
  connection_refused: exitCodes.cannotConnect,
  connection_timeout: exitCodes.cannotConnect,
  connection_lost: exitCodes.cannotConnect,
  authentication_failed: exitCodes.cannotConnect,
  database_missing: exitCodes.cannotConnect,
  tls_failed: exitCodes.cannotConnect,
  server_unsupported: exitCodes.cannotConnect,
  too_many_connections: exitCodes.cannotConnect,
  embedded_unavailable: exitCodes.cannotConnect,
  schema_incompatible: exitCodes.refused,
  confirmation_needed: exitCodes.refused,
  read_only: exitCodes.refused,
  standby: exitCodes.refused,
  row_security: exitCodes.refused,
  cluster: exitCodes.refused,
  pooled_connection: exitCodes.refused,
  privilege_missing: exitCodes.refused,
  busy: exitCodes.refused,
};

/** What to add to an error: advice for the reader, the failure below it, the server's SQLSTATE. */
export type ErrorDetails = { hint?: string; cause?: unknown; sqlState?: string };

/**
 * The one error class of the console: a sentence that says what failed, a code, and, wherever there
 * is one, a hint that says what to try next. Messages never hold a password.
 */
export class ConsoleError extends Error {
  override readonly name = 'ConsoleError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly sqlState: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.sqlState = details.sqlState;
  }

  /** The same with another hint, made of the one it has. */
  withHint(change: (hint: string) => string): ConsoleError {
    const { code, message, hint, cause, sqlState } = this;
    if (hint === undefined || change(hint) === hint) return this;
    const state = sqlState === undefined ? {} : { sqlState };
    return new ConsoleError(code, message, { hint: change(hint), cause, ...state });
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): ExitCode {
    return exitCodeOf[this.code] ?? exitCodes.notGood;
  }
}

/**
 * What the file system refused where nobody expected it: no fault of the console, so that its stack helps nobody. Undefined for anything
 * else; a file that is not there may be such a fault.
 */
export function fileError(error: unknown): ConsoleError | undefined {
  const { code, path, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  const reason = fileSystemReason(error);
  if (reason === undefined || syscall === undefined || code === 'ENOENT') return undefined;
  const isRight = code === 'EACCES' || code === 'EPERM';
  const why = isRight ? `this user has no right to it (${syscall})` : reason;
  const what = path === undefined ? `A file cannot be written` : `${path} cannot be used`;
  return new ConsoleError('file_failed', `${what}: ${why}.`, { cause: error });
}

/** What a person reads of a failure: what failed, and what to try next where that is known. */
export type Failure = { message: string; hint: string | undefined };

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return { message, hint: error instanceof ConsoleError ? error.hint : undefined };
}

/** What a statement or a connection failed with; anything else is a fault of the console. */
export function asConsoleError(error: unknown): ConsoleError {
  if (error instanceof ConsoleError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ConsoleError('internal', message, { cause: error });
}

const lossCodes: ReadonlySet<ErrorCode> = new Set([
  'connection_refused',
  'connection_timeout',
  'connection_lost',
  'authentication_failed',
  'database_missing',
  'tls_failed',
  'too_many_connections',
  'embedded_unavailable',
]);

/** Whether a failure is one of the connection (no answer, login refused), and not of a statement. */
export function losesConnection(error: unknown): error is ConsoleError {
  return error instanceof ConsoleError && (lossCodes.has(error.code) || isUnanswered(error));
}

/** This machine gave up waiting, not the server, which would have told an SQLSTATE: the network may be cut. */
export function isUnanswered(error: ConsoleError): boolean {
  return error.code === 'statement_timeout' && error.sqlState === undefined;
}

/** Whether the rows themselves were refused (data, constraints, limits), so that trying again would not help. */
export function isRecordsFault(error: unknown): error is ConsoleError {
  return error instanceof ConsoleError && /^(22|23|54)/.test(error.sqlState ?? '');
}

/** Why nothing is changed on a connection that is read-only: by the flag, or by what its role, database or server has set. */
export function readOnlyError(
  title: string,
  { capabilities: { readOnlyByDefault } }: { capabilities: { readOnlyByDefault: boolean } },
  hint = 'Start it without --read-only.',
): ConsoleError {
  return readOnlyByDefault
    ? new ConsoleError(
        'read_only',
        `${title}: refused, default_transaction_read_only is on for this connection.`,
        {
          hint: 'Connect as a role or to a database without it. REINDEX and VACUUM would run in spite of it.',
        },
      )
    : new ConsoleError('read_only', `${title}: refused, the console is read-only.`, { hint });
}

/** A file that somebody has named and that cannot be read, with the reason where the file system tells one. */
export function unreadableFile(
  code: ErrorCode,
  what: string,
  file: string,
  options: { hint: string; cause: unknown },
): ConsoleError {
  const message = `The ${what} cannot be read: ${file}${whyUnreadable(options.cause)}`;
  return new ConsoleError(code, message, options);
}
