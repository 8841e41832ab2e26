import { coreTables } from '../../core/tables.js';
import { ConsoleError, type ErrorCode } from '../errors.js';
import { shellWord } from '../quote.js';

/** What a failure was about, for the sentence: `localhost:5432/omninode_bridge`. */
export type Where = { host: string; port: number; user: string; database: string };

type Translation = { code: ErrorCode; message: string; hint?: string };

/** SQLSTATE of an error of the server; undefined for network errors (`ECONNREFUSED` is no state). */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  // No class of SQLSTATE begins with E, as EPIPE does.
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** What the caller knows of the statement, and the server's text may say in any language. */
type Circumstances = {
  /** It ran for as long as it was allowed to. */
  timedOut?: boolean;
};

/** Turns what pg, Node or the server throws into one typed error. Idempotent. */
export function translateError(
  error: unknown,
  where: Where,
  { timedOut = false }: Circumstances = {},
): ConsoleError {
  if (error instanceof ConsoleError) return error;
  const { code, message, hint } =
    byState(error, where, timedOut) ?? byNetwork(error, where) ?? other(error);
  const sqlState = sqlStateOf(error);
  return new ConsoleError(code, message, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    ...(sqlState === undefined ? {} : { sqlState }),
  });
}

function byState(error: unknown, where: Where, timedOut: boolean): Translation | undefined {
  const state = sqlStateOf(error);
  if (state === undefined) return undefined;
  const text = messageOf(error);
  switch (state) {
    case '28P01':
      return {
        code: 'authentication_failed',
        message: `The server refused the password of user "${where.user}".`,
        hint: 'Check the password in the URL, PGPASSWORD or ~/.pgpass; "@", ":", "/", "#" and "%" in a URL must be percent-encoded.',
      };
    case '28000':
      return {
        code: 'authentication_failed',
        message: `The server refused the login: ${text}`,
        hint: 'Its pg_hba.conf decides who may connect from where; a server may demand sslmode=require.',
      };
    case '3D000':
      return {
        code: 'database_missing',
        message: `The database "${where.database}" does not exist.`,
        hint: `Create it: createdb -h ${shellWord(where.host)} -p ${where.port} ${shellWord(where.database)}`,
      };
    case '53300':
      return {
        code: 'too_many_connections',
        message: `The server has no connection left: ${text}`,
        hint: 'Close idle applications, raise max_connections, or connect through a pooler.',
      };
    case '57P01':
    case '57P02':
    case '57P03':
      return {
        code: 'connection_lost',
        message: `The server is going down or coming up: ${text}`,
        hint: 'The console tries again by itself; a command can be repeated in a moment.',
      };
    case '57014': {
      const code = isTimeout(error, timedOut) ? 'statement_timeout' : 'interrupted';
      return {
        code,
        message: `The statement was cancelled: ${text}`,
        ...(code === 'statement_timeout'
          ? { hint: 'The server is busy or the table is large; try a shorter time window.' }
          : {}),
      };
    }
    case '25P03':
    case '25P04':
    case '57P05':
      return {
        code: 'connection_lost',
        message: `The server ended the session: ${text}`,
        hint: `${sessionLimits[state]} of the role, the database or the server is shorter than this takes.`,
      };
    case '55P03':
      return {
        code: 'lock_timeout',
        message: `A lock was not to be had in time: ${text}`,
        hint: 'Another session holds it; "locks" in the console shows which.',
      };
    case '42501':
      return {
        code: 'privilege_missing',
        message: `The role lacks a privilege: ${text}`,
        hint: `Connected as "${where.user}". An owner of the object or a superuser can GRANT it.`,
      };
    case '25006':
      return {
        code: 'read_only',
        message: `The transaction is read-only: ${text}`,
        hint: 'The server is a standby, or default_transaction_read_only is on.',
      };
    case '42P01':
    case '42883': {
      const name = ofSchema.exec(text)?.[0];
      if (name === undefined) return undefined;
      return {
        code: 'schema_missing',
        message: `${name} does not exist in the schema that is used.`,
        hint: 'Create it: trace-console schema apply; or name another schema with --schema.',
      };
    }
    case '22P05':
      return {
        code: 'query_failed',
        message: `The encoding of the database cannot hold it: ${text}`,
        hint: "The console needs a database with ENCODING 'UTF8': CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'.",
      };
    case '08P01': {
      const refused = poolerRefusals.find(([words]) => words.test(text));
      if (!refused) return { code: 'connection_lost', message: `The connection broke: ${text}` };
      const [, message, hint] = refused;
      return { code: 'pooled_connection', message, hint };
    }
    default:
      return state.startsWith('08')
        ? { code: 'connection_lost', message: `The connection broke: ${text}` }
        : undefined;
  }
}

/** What the schema's files make. */
const ofSchema = new RegExp(
  `\\b(?:(?:${coreTables.join('|')})(?:_archive)?|record_pattern_usage|find_similar_patterns|prune_patterns)\\b`,
);

/** What pgbouncer refuses, in its own words, which are in no other language: for people. */
const poolerRefusals: readonly (readonly [RegExp, string, string])[] = [
  [
    /unsupported startup parameter.*options/,
    'The pooler lets no options pass (PGOPTIONS, or options in the URL).',
    'Leave them out, or set them for the role: ALTER ROLE … SET ….',
  ],
  [
    /statement pooling mode/,
    'The pooler pools single statements, and the console needs transactions.',
    'Connect to the server itself, or to a pooler in transaction or session mode.',
  ],
  [
    /^invalid command /,
    'This is the administration console of the pooler, and no database.',
    'Name a database that the pooler serves; SHOW DATABASES lists them.',
  ],
];

/** The settings by which a server ends sessions, by the SQLSTATE. */
const sessionLimits = {
  '25P03': 'idle_in_transaction_session_timeout',
  '25P04': 'transaction_timeout',
  '57P05': 'idle_session_timeout',
} as const;

/**
 * One SQLSTATE for time-outs and for a cancel by hand, and the text is in the language of lc_messages. The console
 * sets the limit of every statement itself, so the time that it took tells; the embedded database names its own.
 */
function isTimeout(error: unknown, timedOut: boolean): boolean {
  const { routine } = error as { routine?: unknown };
  return timedOut || routine === 'embedded_statement_timeout';
}

/** Whether a statement ran for its whole limit (ms); the clocks of two machines run a little apart. */
export function ranOut(begunAt: number, limitMs: number): boolean {
  return limitMs > 0 && performance.now() - begunAt >= limitMs * 0.95;
}

function byNetwork(error: unknown, where: Where): Translation | undefined {
  const place = where.host.startsWith('/')
    ? `the socket ${where.host}/.s.PGSQL.${where.port}`
    : `${where.host}:${where.port}`;
  const code = networkCodeOf(error);
  const text = messageOf(error);
  if (/password must be a( non-empty)? string/.test(text)) {
    return {
      code: 'authentication_failed',
      message: `The server asks for a password of user "${where.user}", and none was given.`,
      hint: 'Put it into the URL, PGPASSWORD, ~/.pgpass, or the .env file of --env-file.',
    };
  }
  if (/does not support SSL/i.test(text)) {
    return {
      code: 'tls_failed',
      message: `The server at ${place} offers no TLS, and sslmode demands it.`,
      hint: 'sslmode=prefer accepts plain text where the server has no TLS.',
    };
  }
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return {
        code: 'connection_refused',
        message: `Nothing accepts connections at ${place}.`,
        hint: 'Is the server running there? "docker compose up -d --wait" starts the local one on port 5436; without any URL the console uses its embedded database.',
      };
    case 'EACCES':
      return {
        code: 'connection_refused',
        message: `${place} may not be opened by this user.`,
        hint: 'A unix socket can be opened only by those who may enter its folder.',
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        code: 'connection_refused',
        message: `The host name "${where.host}" is not known.`,
        hint: nameHint(where.host),
      };
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return {
        code: 'connection_refused',
        message: `There is no route to ${place}.`,
        hint: nameHint(where.host),
      };
    case 'ETIMEDOUT':
      return timeout(place);
    case 'ECONNRESET':
    case 'EPIPE':
      return { code: 'connection_lost', message: `The connection to ${place} broke.` };
    case undefined:
      break;
    default:
      if (/^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/.test(code)) {
        return {
          code: 'tls_failed',
          message: `TLS with ${place} failed: ${text}`,
          hint: 'Name the authority by sslrootcert=FILE (or sslrootcert=system for a public one); sslmode=require encrypts without verifying.',
        };
      }
  }
  if (/timeout expired|timeout exceeded when trying to connect|connection timeout/i.test(text)) {
    return timeout(place);
  }
  if (
    /connection terminated|connection ended|client has encountered a connection error/i.test(text)
  ) {
    return { code: 'connection_lost', message: `The connection to ${place} broke.` };
  }
  if (/query read timeout/i.test(text)) {
    return {
      code: 'statement_timeout',
      message: `${place} did not answer in time.`,
      hint: 'The network may be cut, or a pooler has no connection free; this one was given up.',
    };
  }
  return undefined;
}

function timeout(place: string): Translation {
  return {
    code: 'connection_timeout',
    message: `${place} did not answer in time.`,
    hint: 'A firewall may drop the packets; check address and port. PGCONNECT_TIMEOUT or connect_timeout in the URL (seconds) waits longer.',
  };
}

function nameHint(host: string): string {
  if (host.endsWith('supabase.co')) {
    return "Supabase's direct address is IPv6 only; the session pooler's address (Connect, in the dashboard) has IPv4.";
  }
  return host.includes('.')
    ? 'Check the spelling and the network.'
    : 'A container name is known only inside its network; from the host use localhost:5436 (TRACEABILITY_DB_URL_EXTERNAL).';
}

/** Node reports a host with several addresses as one error holding the others. */
function networkCodeOf(error: unknown): string | undefined {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: unknown };
  if (typeof code === 'string') return code;
  return Array.isArray(errors) ? networkCodeOf(errors[0]) : undefined;
}

/** Anything else is the server's own error, with its own hint, or a mistake of ours. */
function other(error: unknown): Translation {
  const hint = (error as { hint?: unknown } | null)?.hint;
  return {
    code: sqlStateOf(error) ? 'query_failed' : 'internal',
    message: messageOf(error),
    ...(typeof hint === 'string' ? { hint } : {}),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : String(error);
}
