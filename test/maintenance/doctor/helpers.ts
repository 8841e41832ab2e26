import { onTestFinished } from 'vitest';
import type { Check } from '../../../src/maintenance/doctor/check.js';
import {
  checkLimits,
  runChecks,
  type CheckResult,
} from '../../../src/maintenance/doctor/checks.js';
import type { Database, DatabaseOptions } from '../../../src/db/database.js';
import { openConsole } from '../../deploy/helpers.js';

/** Asks checks as the command does. */
export function ask(database: Database, checks: readonly Check[]): Promise<CheckResult[]> {
  const { capabilities } = database;
  return runChecks(
    { capabilities, database, transaction: (work) => database.transaction(checkLimits, work) },
    checks,
  );
}

/** Asks one check in a connection of its own, which ends with the test. */
export async function diagnose(
  url: string,
  check: Check,
  options: DatabaseOptions = {},
): Promise<CheckResult> {
  const database = await openConsole(url, options);
  onTestFinished(() => database.close());
  const [result] = await ask(database, [check]);
  if (!result) throw new Error('a check has one result');
  return result;
}
