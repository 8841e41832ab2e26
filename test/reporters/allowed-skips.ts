/** A test that may be skipped in CI. */
export type AllowedSkip = {
  /** The full name, "describe > test". */
  test: string;
  /** Why it cannot run there, and what tests the same behaviour instead. */
  reason: string;
};

/** In CI a skipped test that is not named here counts as failed: a suite that skips itself proves nothing. */
export const allowedSkips: readonly AllowedSkip[] = [];
