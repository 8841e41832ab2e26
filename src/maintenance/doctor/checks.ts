import { ConsoleError } from '../../db/errors.js';
import type { Check } from './check.js';
import { autovacuum } from './checks/autovacuum.js';
import { bloat } from './checks/bloat.js';
import { checkpoints } from './checks/checkpoints.js';
import { connections } from './checks/connections.js';
import { crashedRuns } from './checks/crashed-runs.js';
import { deadRows } from './checks/dead-rows.js';
import { duplicateIndexes } from './checks/duplicate-indexes.js';
import { foreignKeys } from './checks/foreign-keys.js';
import { growth } from './checks/growth.js';
import { idleTransactions } from './checks/idle-transactions.js';
import { indexBloat } from './checks/index-bloat.js';
import { invalidIndexes } from './checks/invalid-indexes.js';
import { leakingViews } from './checks/leaking-views.js';
import { lockWaits } from './checks/lock-waits.js';
import { pgvector } from './checks/pgvector.js';
import { preparedTransactions } from './checks/prepared-transactions.js';
import { replicationLag } from './checks/replication-lag.js';
import { replicationSlots } from './checks/replication-slots.js';
import { retention } from './checks/retention.js';
import { roleAccess } from './checks/role-access.js';
import { rowSecurity } from './checks/row-security.js';
import { schemaDifferences } from './checks/schema-differences.js';
import { settings } from './checks/settings.js';
import { staleStatistics } from './checks/stale-statistics.js';
import { stuckTraces } from './checks/stuck-traces.js';
import { temporaryFiles } from './checks/temporary-files.js';
import { unusedIndexes } from './checks/unused-indexes.js';
import { vectorLists } from './checks/vector-lists.js';
import { vectorTraining } from './checks/vector-training.js';
import { wraparound } from './checks/wraparound.js';

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
  crashedRuns,
  growth,
  connections,
  idleTransactions,
  lockWaits,
  preparedTransactions,
  replicationLag,
  replicationSlots,
  settings,
  checkpoints,
  temporaryFiles,
];

/** @throws ConsoleError `usage`, naming the checks there are. */
export function checkById(id: string): Check {
  const check = checks.find((candidate) => candidate.id === id);
  if (!check) {
    throw new ConsoleError('usage', `There is no check "${id}".`, {
      hint: `Checks: ${checks.map((one) => one.id).join(', ')}`,
    });
  }
  return check;
}
