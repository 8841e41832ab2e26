import { afterAll } from 'vitest';
import { dropAllTestDatabases } from './database.js';
import { stopAllPgbouncers } from './pgbouncer.js';
import { removeAllPrivateServers } from './private-server.js';

// Registered before the test file's own hooks and therefore run after them. Poolers first: they hold connections.
afterAll(async () => {
  await stopAllPgbouncers();
  await removeAllPrivateServers();
  await dropAllTestDatabases();
});
