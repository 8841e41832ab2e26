import type { ClientConfig } from 'pg';
import type { TlsAttempt } from './tls.js';
import { passwordOf } from './password.js';
import type { ServerSource } from './source.js';
import { valueTypes } from './value-types.js';

export const applicationName = 'trace-console';

/**
 * pg's configuration for a source. No setting but the name travels with the start-up packet:
 * transaction poolers refuse others, and a session's SET would leak into applications that share
 * the server connection; everything else is SET LOCAL in each transaction.
 */
export function clientConfig(source: ServerSource, tls: TlsAttempt): ClientConfig {
  return {
    host: source.hostAddress ?? source.host,
    port: source.port,
    user: source.user,
    database: source.database,
    password: passwordOf(source),
    // pg names the host that it dials; with an address of its own TLS still checks the name.
    ssl: tls !== false && source.hostAddress ? { ...tls, servername: source.host } : tls,
    ...(source.parameters.options ? { options: source.parameters.options } : {}),
    ...(source.parameters.channel_binding === 'require' ? { enableChannelBinding: true } : {}),
    application_name: applicationName,
    connectionTimeoutMillis: source.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: valueTypes,
  };
}
