import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Queryable } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { quoteIdent } from '../db/quote.js';
import { adopt, type InTurn } from './adopt.js';
import { openLedger, recordFile } from './console-schema.js';
import { makePlan, type ApplyOptions, type ApplyResult, type Plan } from './plan.js';
import {
  checkPrerequisites,
  consoleRoles,
  createConsoleRoles,
  createSupabaseRoles,
} from './prerequisites.js';
import { schemaFiles } from './schema-files.js';

/**
 * Two consoles that apply at once take turns; the second finds the work done. The number is "trcs"
 * in ASCII, the key's second half is the schema's name.
 */
const applyLock = 0x74726373;

/** What only looks waits so long. */
const planLockTimeoutMs = 5_000;

/**
 * A lock on what is there is given up after this, and asked for again in another transaction until the patience ends: nobody
 * has to wait long behind an apply that itself waits. And sooner than a server looks for deadlocks (1 s, unless it is set
 * otherwise): else it might be the statement of a writer that it ends, for a view that a file has and another that it wants.
 */
const lockTimeoutMs = 400;
const lockPatienceMs = 20_000;

/** What an apply would do, without doing it. */
export async function planApply(database: Database): Promise<Plan> {
  const plan = await database.transaction(
    { readOnly: true, lockTimeoutMs: planLockTimeoutMs },
    (tx) => makePlan(tx, database),
  );
  // Another console may have created the schema since this one connected and read what there is.
  if (plan.kind !== 'new') await database.refreshCapabilities();
  return plan;
}

/**
 * Creates what is missing of the schema. On a database without our tables all files run in one
 * transaction: all or nothing, also when the console is killed. On a deployed one what is missing is
 * created around what is there. Of that only views and functions of an earlier version are replaced, a file a
 * transaction; no table is changed.
 *
 * The caller has shown the plan and asked, where asking is due.
 *
 * @throws ConsoleError `schema_incompatible` when something else has our names; what
 * {@link checkPrerequisites} throws; the server's errors.
 */
export async function applySchema(
  database: Database,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  checkPrerequisites(database);
  refuseDistributed(database);
  const inTurn = takingTurns(database);
  const { plan, applied } = await inTurn(async (tx) => {
    const found = await makePlan(tx, database);
    if (found.kind === 'incompatible') throw incompatible(found);
    if (options.rls) await createSupabaseRoles(tx);
    return {
      plan: found,
      applied: found.kind === 'new' ? await runFiles(tx, database, found, options) : [],
    };
  });
  const adopts = plan.kind === 'adopt' || (plan.kind === 'complete' && options.rls === true);
  const result = adopts
    ? await adopt(database, inTurn, plan, options)
    : { plan, applied, failed: [] };
  if (options.roles) {
    await inTurn(async (tx) => {
      await openLedger(tx);
      await createConsoleRoles(tx);
    });
    result.applied.push(...consoleRoles);
  }
  await database.refreshCapabilities();
  return result;
}

/**
 * In a team's schema of Citus each statement of a file would be sent to a worker by itself: tables that are made within a
 * block stay here, and nothing can refer to them.
 */
function refuseDistributed({ capabilities }: Database): void {
  const { citus, schema } = capabilities;
  if (!citus?.distributesSchema) return;
  throw new ConsoleError(
    'cluster',
    `The schema "${schema}" is distributed by Citus already; nothing can be created in it.`,
    {
      hint: 'Apply into a plain schema first, then distribute it: docs/citus.md has the statements.',
    },
  );
}

/** Transactions that wait for other consoles' turn, without limit, but never long for a table. */
function takingTurns(database: Database): InTurn {
  const { schema } = database.capabilities;
  const once: InTurn = (work) =>
    database.transaction(
      {
        statementTimeoutMs: 0,
        lockTimeoutMs: 0,
        searchPath: quoteIdent(schema),
        settings: { standard_conforming_strings: 'on' },
      },
      async (tx) => {
        await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [applyLock, schema]);
        await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
        return work(tx);
      },
    );
  return async (work) => {
    for (const giveUpAt = performance.now() + lockPatienceMs; ;) {
      try {
        return await once(work);
      } catch (error) {
        if (!isLockedOut(error) || performance.now() >= giveUpAt) throw error;
        // Not in step with whoever is in the way.
        await sleep(100 + 200 * Math.random());
      }
    }
  };
}

function isLockedOut(error: unknown): boolean {
  if (!(error instanceof ConsoleError)) return false;
  return error.code === 'lock_timeout' || error.sqlState === '40P01' || isLockedOut(error.cause);
}

/** Runs every file; the caller's transaction makes it all or nothing. */
async function runFiles(
  tx: Queryable,
  database: Database,
  plan: Plan,
  options: ApplyOptions,
): Promise<string[]> {
  const { schema } = database.capabilities;
  if (!plan.schemaExists) await tx.query(`CREATE SCHEMA ${quoteIdent(schema)}`);
  const keepsLedger = await openLedger(tx);
  const total = schemaFiles.length;
  const applied: string[] = [];
  for (const [position, file] of schemaFiles.entries()) {
    try {
      await tx.query(file.sql);
    } catch (cause) {
      throw new ConsoleError('query_failed', `${file.name} failed: ${(cause as Error).message}`, {
        hint: 'The whole deployment was rolled back; nothing was changed.',
        cause,
      });
    }
    if (keepsLedger) await recordFile(tx, schema, file);
    applied.push(file.name);
    options.onProgress?.({ index: position + 1, total, name: file.name, outcome: 'applied' });
  }
  return applied;
}

function incompatible(plan: Plan): ConsoleError {
  return new ConsoleError(
    'schema_incompatible',
    `The schema holds other objects of the same name: ${plan.conflicts.join('; ')}.`,
    {
      hint: 'Nothing was touched. Deploy into a schema of its own: --schema NAME.',
    },
  );
}
