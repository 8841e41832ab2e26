/**
 * The integration tests that run a second time on the embedded engine
 * (`TRACE_CONSOLE_TEST_ENGINE=embedded npx vitest run`), and what does not, with the reason. All of
 * them run on a server. What is not run is printed at the end of that run.
 */
export const embeddedFiles: readonly string[] = [
  'test/schema/archive.test.ts',
  'test/schema/archive-tables.test.ts',
  'test/schema/bounds.test.ts',
  'test/schema/derived-columns.test.ts',
  'test/schema/derived-columns-of-children.test.ts',
  'test/schema/functions-patterns.test.ts',
  'test/schema/functions-similar.test.ts',
  'test/schema/functions-timeline.test.ts',
  'test/schema/views.test.ts',
  'test/panes/*.test.ts',
  'test/maintenance/archive.test.ts',
];

export type NotOnEmbedded = {
  /** A file or a folder. */
  path: string;
  /** The full name of one test, "describe > test"; all of the path without it. */
  test?: string;
  reason: string;
};

const oneSession =
  'another session holds a transaction open: the engine has one, and the others wait for its end';

export const notOnEmbedded: readonly NotOnEmbedded[] = [
  {
    path: 'test/schema/archive.test.ts',
    test: 'beside others > a tree that somebody is writing to is passed over and reported',
    reason: oneSession,
  },
  {
    path: 'test/schema/archive.test.ts',
    test: 'beside others > a hook that is being added to a nested trace holds its tree back',
    reason: oneSession,
  },
  {
    path: 'test/schema/archive.test.ts',
    test: 'beside others > a second archiver is told that one is at work, and nothing moves twice',
    reason: oneSession,
  },
  {
    path: 'test/schema/archive.test.ts',
    test: 'beside others > a batch whose connection is killed leaves everything where it was',
    reason: 'pg_terminate_backend ends no client of the engine; kill -9 of the daemon is tested',
  },
  {
    path: 'test/schema/functions-patterns.test.ts',
    test: 'recording a use > a trace that goes to the archive at this moment is kept by its correlation_id',
    reason: oneSession,
  },
  {
    path: 'test/schema/functions-patterns.test.ts',
    test: 'pruning > a pattern that is being used at the moment stays',
    reason: oneSession,
  },
  {
    path: 'test/panes/activity.test.ts',
    test: 'a row committed long after others that began later is put where its time belongs',
    reason: oneSession,
  },
  {
    path: 'test/panes/activity.test.ts',
    test: 'misses nothing and shows nothing twice, whatever the order of transactions, subtransactions and commits',
    reason: oneSession,
  },
  {
    path: 'test/panes/activity.test.ts',
    test: 'a table that another session has locked is left out and named; the others go on',
    reason: oneSession,
  },
  {
    path: 'test/panes/index-usage.test.ts',
    test: 'an index that another session has locked keeps its last size and names the process',
    reason: oneSession,
  },
  {
    path: 'test/panes/table-sizes.test.ts',
    test: 'a table that another session has locked keeps its last sizes; the other tables go on',
    reason: oneSession,
  },
  {
    path: 'test/panes/table-sizes.test.ts',
    test: 'an index that another session has locked keeps its last sizes; the other tables go on',
    reason: oneSession,
  },
  {
    path: 'test/panes/plans.test.ts',
    test: 'without its indexes the same check finds the table read as a whole',
    reason: 'proves the check, not the engine; on it another plan is cheaper for so few rows',
  },
  {
    path: 'test/panes/sessions.test.ts',
    reason: 'pg_stat_activity has one row, and only the role postgres connects',
  },
  {
    path: 'test/maintenance/archive.test.ts',
    test: 'archiving > passes over a trace to whose hook somebody writes, and moves the rest',
    reason: oneSession,
  },
  {
    path: 'test/maintenance/archive.test.ts',
    test: 'archiving > waits for the short batch of another archiver',
    reason: oneSession,
  },
  {
    path: 'test/maintenance/archive.test.ts',
    test: 'archiving > says who is at it when another session archives',
    reason: oneSession,
  },
  {
    path: 'test/maintenance',
    reason:
      'archive apart: progress views, pg_cancel_backend, pgbouncer, standbys and roles that log in',
  },
  {
    path: 'test/live',
    reason: 'sessions, locks and statements that the server cancels without a restart',
  },
  {
    path: 'test/schema',
    reason:
      'the rest: servers of their own with roles that log in, Docker, backups, and deploying by psql',
  },
  {
    path: 'test/deploy',
    reason:
      'several schemas, roles and half-deployed databases; the first start is tested end to end',
  },
];

/** Why a test is not run on the embedded engine; undefined when it is. */
export function reasonNotOnEmbedded(file: string, test: string): string | undefined {
  return notOnEmbedded.find((entry) => entry.path === file && (entry.test ?? test) === test)
    ?.reason;
}
