/** A test that may be skipped in CI. */
export type AllowedSkip = {
  /** The full name, "describe > test". */
  test: string;
  /** Why it cannot run there, and what tests the same behaviour instead. */
  reason: string;
};

/** In CI a skipped test that is not named here counts as failed: a suite that skips itself proves nothing. */
export const allowedSkips: readonly AllowedSkip[] = [
  ...[
    'verifies, writes, shows, prints a trace, archives, restores, and refuses what only a worker can do',
    'creates nothing in a schema that is distributed from the beginning',
  ].map((test) => ({
    test: `on a cluster of Citus, in the schema of a team > ${test}`,
    reason:
      'Citus is in no package of Debian or npm: TEST_CITUS_URL names a cluster. What was recorded of one is tested by test/db/citus.test.ts.',
  })),
  {
    test: 'consoles show no old figures as new while servers, pooler, network and disk fail under traffic, and no row is lost or doubled',
    reason:
      'It takes minutes: npm run test:faults runs it. Each of its faults has a test of its own in CI.',
  },
  {
    test: 'the counts of an import > are those of a plain count: real files',
    reason:
      'Real transcripts are nobody else’s: TRACE_CONSOLE_TEST_TRANSCRIPTS names a folder. The same is counted of files that the test makes.',
  },
];
