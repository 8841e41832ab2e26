import pg from 'pg';
import { ConsoleError } from '../errors.js';
import { clientConfig } from './client-config.js';
import { answersAsPostgres } from './probe-port.js';
import type { ServerSource } from './source.js';
import { tlsAttempts, type TlsAttempt } from './tls.js';
import { sqlStateOf, translateError } from './translate-error.js';

const localContainerPort = 5436;

/**
 * Opens and closes one connection to learn which way (TLS or not) works; the pool then goes that
 * way. Every attempt has the source's connect time-out.
 *
 * @throws ConsoleError with the reason of the last attempt and a hint.
 */
export async function establish(source: ServerSource): Promise<TlsAttempt> {
  const attempts = tlsAttempts(source.parameters, source.host);
  for (const [index, attempt] of attempts.entries()) {
    const client = new pg.Client(clientConfig(source, attempt));
    try {
      await client.connect();
      return attempt;
    } catch (error) {
      const last = index === attempts.length - 1;
      if (last || !mayWorkOtherwise(source, error)) throw await withPortHint(source, error);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  throw new ConsoleError('internal', 'No way to connect was tried.');
}

/** Whether the other of TLS and plain text could help: not when nothing answers at all. */
function mayWorkOtherwise(source: ServerSource, error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return state === '28000';
  const { code } = translateError(error, source);
  return code !== 'connection_refused' && code !== 'connection_timeout';
}

async function withPortHint(source: ServerSource, error: unknown): Promise<ConsoleError> {
  const translated = translateError(error, source);
  if (
    translated.code !== 'connection_refused' ||
    source.port !== 5432 ||
    source.host.startsWith('/') ||
    !(await answersAsPostgres(source.host, localContainerPort))
  ) {
    return translated;
  }
  return new ConsoleError(translated.code, translated.message, {
    hint: `A PostgreSQL answers on port ${localContainerPort} of ${source.host}, the port of docker-compose.yml: use it.`,
    cause: translated.cause,
  });
}
