import type { Capabilities } from '../../db/capabilities.js';
import type { Queryable, TransactionOptions } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { severities, type Check, type Severity, type Verdict } from './check.js';

/** What a check found; the row of the pane and of `doctor --json`. */
export type CheckResult = {
  id: string;
  title: string;
  severity: Severity;
  evidence: string;
  items: readonly string[];
  mend: string | null;
  command: string | null;
  why: string;
};

export type DoctorContext = {
  capabilities: Capabilities;
  /** Runs `work` in one read-only transaction. */
  transaction<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result>;
};

/** A check is cheap; one that must wait says so soon, and the others go on. */
export const checkLimits = {
  readOnly: true,
  statementTimeoutMs: 5_000,
  lockTimeoutMs: 1_000,
} as const satisfies TransactionOptions;

/**
 * Runs checks one after the other, each in a transaction of its own: one that fails is skipped with the
 * reason and breaks none of the others.
 *
 * @throws ConsoleError when the connection is lost
 */
export async function runChecks(
  context: DoctorContext,
  checks: readonly Check[],
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) results.push(resultOf(check, await verdictOf(context, check)));
  return results.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

/** Nothing found that is more than advice. */
export function isHealthy(results: readonly CheckResult[]): boolean {
  return results.every(({ severity }) => severity !== 'critical' && severity !== 'warning');
}

async function verdictOf(context: DoctorContext, check: Check): Promise<Verdict> {
  const { capabilities } = context;
  const reason = check.skip?.(capabilities);
  if (reason !== undefined) return { severity: 'skipped', evidence: reason };
  try {
    return await context.transaction((tx) => check.run({ tx, capabilities }));
  } catch (error) {
    if (error instanceof ConsoleError && error.code !== 'connection_lost') {
      return { severity: 'skipped', evidence: `could not be read: ${error.message}` };
    }
    throw error;
  }
}

function resultOf({ id, title, why }: Check, verdict: Verdict): CheckResult {
  const { severity, evidence } = verdict;
  const found = 'mend' in verdict ? verdict : undefined;
  return {
    id,
    title,
    severity,
    evidence,
    items: found?.items ?? [],
    mend: found?.mend ?? null,
    command: found?.command ?? null,
    why,
  };
}
