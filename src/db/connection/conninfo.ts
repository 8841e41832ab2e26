import { parse as parseUrl } from 'pg-connection-string';
import { ConsoleError } from '../errors.js';

/** Connection parameters by libpq's names (`host`, `port`, `dbname`, `user`, `sslmode`, …). */
export type ConnectionParameters = Partial<Record<string, string>>;

/**
 * Reads a connection string as libpq does: a `postgresql://` URL or `keyword=value` pairs.
 *
 * @throws ConsoleError `connection_source_invalid`; the message never repeats the string, which may
 * hold a password.
 */
export function parseConnectionString(text: string, origin: string): ConnectionParameters {
  const trimmed = text.trim();
  return /^postgres(ql)?:\/\//i.test(trimmed)
    ? parseConnectionUrl(trimmed, origin)
    : parseKeywords(trimmed, origin);
}

function parseConnectionUrl(url: string, origin: string): ConnectionParameters {
  const [base = '', query = ''] = url.split(/\?(.*)/s);
  if (/^[^/]*\/\/[^/]*,/.test(base)) {
    throw invalid(origin, 'names several hosts', 'Give one host; the console follows one server.');
  }
  const [, afterAuthority = ''] = base.split(/^[^/]*\/\/[^/]*/);
  if (base.includes('#') || afterAuthority.includes('@')) {
    throw invalid(
      origin,
      'has a character in its user or password that a URL keeps for itself',
      'Percent-encode "#" as %23, "/" as %2F, "@" as %40, ":" as %3A and "%" as %25.',
    );
  }
  let parsed: ReturnType<typeof parseUrl>;
  let extra: ConnectionParameters;
  try {
    // Only the part before "?" goes to the library: it would read certificate files by itself and
    // gives sslmode a meaning other than libpq's.
    parsed = parseUrl(base);
    extra = Object.fromEntries(new URLSearchParams(query));
  } catch {
    throw invalid(
      origin,
      'is not a valid URL',
      'The form is postgresql://user:password@host:5432/database; percent-encode "@", ":", "/", "#" and "%" in a password.',
    );
  }
  return withoutEmpty({
    host: parsed.host ?? undefined,
    port: parsed.port ?? undefined,
    user: parsed.user,
    password: parsed.password,
    dbname: parsed.database ?? undefined,
    ...checkedNames(extra, origin),
  });
}

/** A misspelt sslmode would connect in clear: an unknown name is refused, as libpq does. */
function checkedNames(parameters: ConnectionParameters, origin: string): ConnectionParameters {
  const unknown = Object.keys(parameters).find((name) => !knownParameters.has(name));
  if (unknown !== undefined) {
    throw invalid(
      origin,
      `has a parameter that is not known: ${JSON.stringify(unknown.slice(0, 40))}`,
      'The names are those of libpq: sslmode, sslrootcert, connect_timeout, …',
    );
  }
  return parameters;
}

/** libpq's parameters; the last line is what ORMs and poolers add to URLs, and which changes nothing here. */
const knownParameters = new Set(
  `host hostaddr port dbname user password passfile service servicefile options application_name
  fallback_application_name client_encoding connect_timeout keepalives keepalives_idle
  keepalives_interval keepalives_count tcp_user_timeout channel_binding require_auth gssencmode
  gssdelegation gsslib krbsrvname sslmode sslnegotiation sslcompression sslcert sslkey sslpassword
  sslcertmode sslrootcert sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version
  ssl_max_protocol_version min_protocol_version max_protocol_version target_session_attrs
  load_balance_hosts replication
  pgbouncer supa connection_limit pool_timeout statement_cache_size schema`.split(/\s+/),
);

function parseKeywords(text: string, origin: string): ConnectionParameters {
  const parameters: ConnectionParameters = {};
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gy;
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text);
    if (!match?.[1]) {
      throw invalid(
        origin,
        'is neither a postgresql:// URL nor keyword=value pairs',
        'Examples: postgresql://user@host/database or "host=localhost dbname=omninode_bridge".',
      );
    }
    parameters[match[1]] = (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
  }
  return withoutEmpty(checkedNames(parameters, origin));
}

function withoutEmpty(parameters: ConnectionParameters): ConnectionParameters {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value));
}

function invalid(origin: string, problem: string, hint: string): ConsoleError {
  return new ConsoleError('connection_source_invalid', `The value of ${origin} ${problem}.`, {
    hint,
  });
}
