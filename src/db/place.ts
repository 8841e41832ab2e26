import type { Database } from './database.js';

/** `localhost:5432, database omninode_bridge, schema public`: where something would be changed. */
export function placeOf(database: Database): string {
  const { address, capabilities } = database;
  const host = capabilities.embedded ? 'the embedded database' : `${address.host}:${address.port}`;
  return `${host}, database ${capabilities.database}, schema ${capabilities.schema}`;
}
