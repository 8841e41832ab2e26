import { parse as parseUrl } from 'pg-connection-string';
import { setOwnKey } from '../../core/values.js';
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
  const [, scheme = '', authority = '', afterAuthority = ''] =
    /^([^/]*\/\/)([^/]*)(.*)$/s.exec(base) ?? [];
  if (base.includes('#') || afterAuthority.includes('@')) {
    throw invalid(
      origin,
      'has a character in its user or password that a URL keeps for itself',
      'Percent-encode "#" as %23, "/" as %2F, "@" as %40, ":" as %3A and "%" as %25.',
    );
  }
  let parsed: ReturnType<typeof parseUrl>;
  let extra: ConnectionParameters;
  let database: string;
  try {
    // Only the part before "?" goes to the library: it would read certificate files by itself and
    // gives sslmode a meaning other than libpq's.
    const [, login = '', servers = ''] = /^(.*@)?(.*)$/s.exec(authority) ?? [];
    const hosts = servers.includes(',') ? servers.split(',').map(hostAndPort) : undefined;
    parsed = parseUrl(hosts ? `${scheme}${login}h${afterAuthority}` : base);
    if (hosts) {
      parsed.host = hosts.map(({ host }) => host).join(',');
      const ports = hosts.map(({ port }) => port);
      parsed.port = ports.some((port) => port !== '') ? ports.join(',') : null;
    }
    // The library leaves the characters encoded that a URL has a meaning for: ; / ? : @ & = + , #
    database = decodeURIComponent(afterAuthority.slice(1));
    // A plus is a plus to libpq, no space.
    extra = Object.fromEntries(new URLSearchParams(query.replaceAll('+', '%2B')));
    // What JDBC calls it, and libpq takes as well.
    if (extra.ssl === 'true') {
      delete extra.ssl;
      extra.sslmode ??= 'require';
    }
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
    dbname: database,
    ...checkedNames(extra, origin),
  });
}

function hostAndPort(text: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(text);
  if (!match) throw new Error('neither host nor host:port');
  return { host: decodeURIComponent(match[1] ?? match[2] ?? ''), port: match[3] ?? '' };
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
  load_balance_hosts replication scram_client_key scram_server_key sslkeylogfile
  oauth_issuer oauth_client_id oauth_client_secret oauth_scope
  pgbouncer supa connection_limit pool_timeout statement_cache_size schema`.split(/\s+/),
);

/** A parameter whose value libpq does not know either. */
export function invalidParameter(name: string, value: string, values: string): ConsoleError {
  return new ConsoleError('connection_source_invalid', `The ${name} "${value}" is not known.`, {
    hint: `Values: ${values}.`,
  });
}

/** What libpq can do and the console cannot: silence would promise what is not kept. */
const refusedParameters = new Map(
  Object.entries<(value: string) => boolean>({
    gssencmode: (value) => value === 'require',
    sslcrldir: () => true,
    sslcertmode: (value) => value === 'require',
    sslsni: (value) => value === '0',
    requirepeer: () => true,
    replication: (value) => !['false', 'off', 'no', '0'].includes(value),
    min_protocol_version: (value) => value !== '3.0',
    max_protocol_version: (value) => !['3.0', 'latest'].includes(value),
    scram_client_key: () => true,
    scram_server_key: () => true,
    sslkeylogfile: () => true,
    oauth_issuer: () => true,
    oauth_client_id: () => true,
    oauth_client_secret: () => true,
    oauth_scope: () => true,
  }),
);

/** Whole numbers, which are said to be none before anything is connected to. */
const numbers = new Set([
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
]);

/** The values of parameters that have a list of them. */
const listedValues = new Map(
  Object.entries({
    gssencmode: ['disable', 'prefer', 'require'],
    sslcertmode: ['disable', 'allow', 'require'],
    sslnegotiation: ['postgres', 'direct'],
    target_session_attrs: [
      ...['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
    ],
    load_balance_hosts: ['disable', 'random'],
  }),
);

/**
 * Refuses, by name, what would be without effect although somebody relies on it.
 *
 * @throws ConsoleError `connection_source_invalid`
 */
export function checkParameters(parameters: ConnectionParameters): void {
  for (const [name, value = ''] of Object.entries(parameters)) {
    const values = listedValues.get(name);
    if (values && !values.includes(value)) throw invalidParameter(name, value, values.join(', '));
    if (numbers.has(name) && !/^\s*[+-]?\d+\s*$/.test(value)) {
      throw invalidParameter(name, value, 'whole numbers');
    }
    if (!refusedParameters.get(name)?.(value)) continue;
    throw new ConsoleError('connection_source_invalid', `The console cannot do ${name}=${value}.`, {
      hint: 'docs/connecting.md lists the parameters. Leave it out, if nothing depends on it.',
    });
  }
  const { sslnegotiation, sslmode = 'prefer' } = parameters;
  if (sslnegotiation === 'direct' && ['disable', 'allow', 'prefer'].includes(sslmode)) {
    throw new ConsoleError(
      'connection_source_invalid',
      `sslnegotiation=direct needs sslmode=require or stricter, not ${sslmode}.`,
    );
  }
}

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
    setOwnKey(parameters, match[1], (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1'));
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
