import { relative } from 'node:path';
import { afterAll, beforeEach, expect } from 'vitest';
import { dropAllTestDatabases } from './database.js';
import { reasonNotOnEmbedded } from './embedded-suite.js';
import { testEngine } from './engine.js';
import { stopAllPgbouncers } from './pgbouncer.js';
import { removeAllPrivateServers } from './private-server.js';

// Registered before the test file's own hooks and therefore run after them. Poolers first: they hold connections.
afterAll(async () => {
  await stopAllPgbouncers();
  await removeAllPrivateServers();
  await dropAllTestDatabases();
});

if (testEngine === 'embedded') {
  beforeEach((context) => {
    const { testPath = '', currentTestName = '' } = expect.getState();
    const reason = reasonNotOnEmbedded(relative(process.cwd(), testPath), currentTestName);
    if (reason !== undefined) context.skip(reason);
  });
}
