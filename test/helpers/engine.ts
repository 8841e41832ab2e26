/**
 * On what the databases of this run are: a server, or with TRACE_CONSOLE_TEST_ENGINE=embedded the
 * embedded engine, on which the integration tests run as well.
 */
export const testEngine: 'server' | 'embedded' =
  process.env.TRACE_CONSOLE_TEST_ENGINE === 'embedded' ? 'embedded' : 'server';
