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
    ...extra,
  });
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
    parameters[match[1]] = (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
  }
  return withoutEmpty(parameters);
}

function withoutEmpty(parameters: ConnectionParameters): ConnectionParameters {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value));
}

function invalid(origin: string, problem: string, hint: string): ConsoleError {
  return new ConsoleError('connection_source_invalid', `The value of ${origin} ${problem}.`, {
    hint,
  });
}
