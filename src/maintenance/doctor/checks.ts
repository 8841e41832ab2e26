import { didYouMean } from '../../core/nearest.js';
import { hasRowsOnWorkers } from '../../db/capabilities.js';
import { ConsoleError, fileError, losesConnection } from '../../db/errors.js';
import { type Check, severities, type Severity, type Verdict } from './check.js';
import { agentEvents, agentHooks } from './checks/agents.js';
import { autovacuum, deadRows, growth, staleStatistics, wraparound } from './checks/tables.js';
import {
  backups,
  checkpoints,
  embeddedDaemon,
  settings,
  temporaryFiles,
  replicationLag,
  replicationSlots,
} from './checks/server.js';
import { bloat, indexBloat } from './checks/bloat.js';
import {
  connections,
  idleTransactions,
  lockWaits,
  preparedTransactions,
} from './checks/sessions.js';
import { crashedRuns, materializedViews, retention, stuckTraces } from './checks/upkeep.js';
import { duplicateIndexes, foreignKeys, invalidIndexes, unusedIndexes } from './checks/indexes.js';
import { leakingViews, roleAccess, rowSecurity, schemaDifferences } from './checks/schema.js';
import { pgvector, vectorLists, vectorTraining } from './checks/vectors.js';
import type { Capabilities } from '../../db/capabilities.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import type { TransactionOptions } from '../../db/transaction.js';

/** Every check, in the order in which they are listed among their equals. */
export const checks: readonly Check[] = [
  schemaDifferences,
  pgvector,
  vectorTraining,
  vectorLists,
  invalidIndexes,
  foreignKeys,
  duplicateIndexes,
  unusedIndexes,
  indexBloat,
  staleStatistics,
  deadRows,
  bloat,
  autovacuum,
  wraparound,
  rowSecurity,
  leakingViews,
  roleAccess,
  stuckTraces,
  retention,
  materializedViews,
  crashedRuns,
  growth,
  connections,
  idleTransactions,
  lockWaits,
  preparedTransactions,
  replicationLag,
  replicationSlots,
  backups,
  settings,
  checkpoints,
  temporaryFiles,
  agentEvents,
  agentHooks,
  embeddedDaemon,
];

/** @throws ConsoleError `usage`, naming the checks there are. */
export function checkById(id: string): Check {
  const check = checks.find((candidate) => candidate.id === id);
  if (!check) {
    const ids = checks.map((one) => one.id);
    const meant = didYouMean(id, ids);
    throw new ConsoleError('usage', `There is no check "${id}".`, {
      hint: `${meant}Checks: ${ids.join(', ')}`,
    });
  }
  return check;
}

/** What a check found; the row of the pane and of `doctor --json`. */
export type CheckResult = {
  id: string;
  title: string;
  severity: Severity;
  evidence: string;
  items: readonly string[];
  fix: string | null;
  /** Absent in recordings of earlier consoles. */
  inConsole?: string | null;
  /** As SQL, or a command of the shell; several statements one after the other. */
  command: string | null;
  /** The same, one each. */
  commands: readonly string[];
  why: string;
};

export type DoctorContext = {
  capabilities: Capabilities;
  database: Pick<Database, 'address'>;
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
  const { capabilities, database } = context;
  const isElsewhere = check.ofOwnRows && hasRowsOnWorkers(capabilities);
  const reason = isElsewhere
    ? 'the rows lie on workers of the Citus cluster, whose sizes and counters are not read'
    : check.skip?.(capabilities);
  if (reason !== undefined) return { severity: 'skipped', evidence: reason };
  try {
    return await context.transaction((tx) =>
      check.run({ tx, capabilities, host: database.address.host }),
    );
  } catch (failure) {
    const error = fileError(failure) ?? failure;
    // Each of the others would wait for an answer as long as this one.
    if (losesConnection(error) || !(error instanceof ConsoleError)) throw error;
    return { severity: 'skipped', evidence: `could not be read: ${error.message}` };
  }
}

function resultOf({ id, title, why }: Check, verdict: Verdict): CheckResult {
  const { severity, evidence } = verdict;
  const found = 'fix' in verdict ? verdict : undefined;
  const commands = found?.command === undefined ? [] : [found.command].flat();
  return {
    id,
    title,
    severity,
    evidence,
    items: found?.items ?? [],
    fix: found?.fix ?? null,
    inConsole: found?.inConsole ?? null,
    command: commands.length === 0 ? null : commands.join(' '),
    commands,
    why,
  };
}
