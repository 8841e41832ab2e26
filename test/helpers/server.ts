import { inject } from 'vitest';
import type { Owner } from './server-folders.js';
import type { SharedServer } from './shared-server.js';

/** What the run's global set-up hands to every worker. */
export type TestServer = SharedServer & {
  /** The run, in whose name servers are started and cleaned up. */
  owner: Owner;
  /** Begins the name of every database of this run. */
  databasePrefix: string;
  /** The database that new ones are cloned from. */
  template: string;
};

declare module 'vitest' {
  interface ProvidedContext {
    testServer: TestServer;
  }
}

/** The server that all test files of this run share. Never change its roles or settings: others are using it. */
export function testServer(): TestServer {
  return inject('testServer');
}
