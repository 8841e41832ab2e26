import type { Database } from '../../db/database.js';
import type { ConnectionBadge, Place } from '../draw/header.js';

/** What the header says of an open database. */
export function placeOf(database: Database, connection: ConnectionBadge | undefined): Place {
  const { address, capabilities, origin, readOnly } = database;
  const { host, port } = address;
  const server = host.startsWith('/') ? `socket ${host}:${port}` : `${host}:${port}`;
  return {
    database: capabilities.database,
    host: capabilities.embedded ? 'this machine' : server,
    origin,
    user: capabilities.user,
    readOnly,
    connection,
  };
}
