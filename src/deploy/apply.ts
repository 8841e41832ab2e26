import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, DirectConnection, Queryable } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { quoteIdent } from '../db/quote.js';
import {
  type ApplyStep,
  type Plan,
  makePlan,
  type ApplyOptions,
  type ApplyResult,
} from './plan.js';
import { adopt, type InTurn } from './adopt.js';
import { openLedger, recordFile } from './console-schema.js';
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

/** Locks on existing tables are given up after this; an apply must not queue up behind a writer. */
const lockTimeoutMs = 5_000;

/** What an apply would do, without doing it. */
export async function planApply(database: Database): Promise<Plan> {
  const plan = await database.transaction({ readOnly: true, lockTimeoutMs }, (tx) =>
    makePlan(tx, database),
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
  return (work) =>
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

type Built = { applied: string[]; failed: { name: string; reason: string }[] };

/** duplicate_table, which says so of an index, too. */
const duplicateState = '42P07';

/** Held while indexes are built: "trci" in ASCII; the key's second half is the schema's name. */
const buildLock = 0x74726369;

/**
 * Builds the missing indexes of a deployed database one by one, CONCURRENTLY, so that its writers go
 * on. Runs outside any transaction on a connection of its own. A build that fails leaves nothing:
 * its invalid index is dropped again, and so is one that a killed build has left. Two consoles take
 * turns; the second finds the indexes built.
 *
 * Behind a pooler nothing can be built: every index comes back as failed, with that reason, since
 * the rest of the schema has been applied by then.
 *
 * @throws ConsoleError when the connection cannot be had, or is lost.
 */
export async function buildIndexes(
  database: Database,
  indexes: Plan['addIndexes'],
  onProgress?: (step: ApplyStep) => void,
): Promise<Built> {
  const built: Built = { applied: [], failed: [] };
  if (indexes.length === 0) return built;
  const { schema } = database.capabilities;
  const connection = await connectUnlessPooled(database);
  if (connection instanceof ConsoleError) {
    const reason = [connection.message, connection.hint].join(' ');
    return { ...built, failed: indexes.map(({ name }) => ({ name, reason })) };
  }
  try {
    // The embedded engine has no locks of a session: there the index itself tells.
    if (!database.capabilities.embedded) await takeTurn(connection, schema);
    // Waiting for a lock for ever would leave the build half-done and every writer behind it.
    await connection.query("SET lock_timeout = '30s'; SET maintenance_work_mem = '256MB'");
    for (const [position, missing] of indexes.entries()) {
      const step = { index: position + 1, total: indexes.length, name: missing.name };
      try {
        const outcome = await build(connection, schema, missing);
        if (outcome === 'built') built.applied.push(missing.name);
        onProgress?.({ ...step, outcome });
      } catch (error) {
        if (error instanceof ConsoleError && error.code === 'connection_lost') throw error;
        const reason = [error, await cleanUp(connection, schema, missing)].flatMap(messageOf);
        built.failed.push({ name: missing.name, reason: reason.join('; ') });
        onProgress?.({ ...step, outcome: reason.join('; ') });
      }
    }
  } finally {
    await connection.close();
  }
  return built;
}

async function connectUnlessPooled(database: Database): Promise<DirectConnection | ConsoleError> {
  try {
    return await database.connectDirect();
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'pooled_connection') return error;
    throw error;
  }
}

/**
 * Waits by asking again: a session that waits inside a statement holds a snapshot, and the other
 * one's CREATE INDEX CONCURRENTLY would wait for that. The lock ends with the connection.
 */
async function takeTurn(connection: DirectConnection, schema: string): Promise<void> {
  for (;;) {
    const { rows } = await connection.query<{ mine: boolean }>(
      'SELECT pg_try_advisory_lock($1, hashtext($2)) AS mine',
      [buildLock, schema],
    );
    if (rows[0]?.mine) return;
    await sleep(500);
  }
}

async function build(
  connection: DirectConnection,
  schema: string,
  { name, index }: Plan['addIndexes'][number],
): Promise<'built' | 'is there'> {
  const valid = await validityOf(connection, schema, name, index.table);
  if (valid === true) return 'is there';
  if (valid === false) await dropLeftover(connection, schema, name, index.table);
  try {
    await connection.query(concurrently(index.definition, schema, index.table));
    return 'built';
  } catch (error) {
    if (!(error instanceof ConsoleError) || error.sqlState !== duplicateState) throw error;
    // Another console has built it since we looked.
    if ((await validityOf(connection, schema, name, index.table)) !== true) throw error;
    return 'is there';
  }
}

/** `CREATE INDEX x ON t …` → `CREATE INDEX CONCURRENTLY x ON "schema"."t" …` */
export function concurrently(definition: string, schema: string, table: string): string {
  return (
    definition
      .replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX CONCURRENTLY ')
      // A function, since "$" in a replacement text has a meaning, and a schema's name may hold it.
      .replace(` ON ${table} `, () => ` ON ${quoteIdent(schema, table)} `)
  );
}

/** What a failed build left is dropped; the error when that fails as well. */
async function cleanUp(
  connection: DirectConnection,
  schema: string,
  { name, index }: Plan['addIndexes'][number],
): Promise<unknown> {
  try {
    if ((await validityOf(connection, schema, name, index.table)) === false) {
      await dropLeftover(connection, schema, name, index.table);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Undefined: the table has no index of this name. */
async function validityOf(
  connection: DirectConnection,
  schema: string,
  name: string,
  table: string,
): Promise<boolean | undefined> {
  const { rows } = await connection.query<{ valid: boolean }>(
    `SELECT x.indisvalid AND x.indisready AS valid FROM pg_index AS x
     JOIN pg_class AS c ON c.oid = x.indexrelid
     JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND x.indrelid = to_regclass($3)`,
    [schema, name, quoteIdent(schema, table)],
  );
  return rows[0]?.valid;
}

/**
 * Drops an invalid index, unless somebody may be building it: whoever builds an index CONCURRENTLY
 * holds this lock on its table. (The progress view would name the index, but not to every role.)
 */
async function dropLeftover(
  connection: DirectConnection,
  schema: string,
  name: string,
  table: string,
): Promise<void> {
  const { rows } = await connection.query<{ pid: number }>(
    `SELECT pid FROM pg_locks
     WHERE locktype = 'relation' AND mode = 'ShareUpdateExclusiveLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND relation = to_regclass($1) AND pid <> pg_backend_pid()`,
    [quoteIdent(schema, table)],
  );
  if (rows[0]) {
    throw new ConsoleError(
      'busy',
      `it is invalid, and process ${rows[0].pid} works on its table: apply again when that is done`,
    );
  }
  await connection.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdent(schema, name)}`);
}

function messageOf(error: unknown): string[] {
  return error instanceof Error ? [error.message] : [];
}
