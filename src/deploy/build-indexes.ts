import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, DirectConnection } from '../db/database.js';
import { ConsoleError, losesConnection } from '../db/errors.js';
import { quoteIdent } from '../db/quote.js';
import type { ApplyStep } from './plan.js';
import type { Plan } from './plan.js';

type Built = { applied: string[]; failed: { name: string; reason: string }[] };

/** duplicate_table, which says so of an index, too. */
const duplicateState = '42P07';

const lockTimeout = '30s';

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
    await connection.query(
      `SET lock_timeout = '${lockTimeout}'; SET maintenance_work_mem = '256MB'`,
    );
    for (const [position, missing] of indexes.entries()) {
      const step = { index: position + 1, total: indexes.length, name: missing.name };
      try {
        const outcome = await build(connection, schema, missing);
        if (outcome === 'built') built.applied.push(missing.name);
        onProgress?.({ ...step, outcome });
      } catch (error) {
        if (losesConnection(error)) throw error;
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
  missing: Plan['addIndexes'][number],
): Promise<'built' | 'is there'> {
  const { name, index } = missing;
  const targets = await targetsOf(connection, schema, missing);
  const [only] = targets;
  if (only?.target === index.table) return buildOne(connection, only);
  if (await validityOf(connection, schema, name, index.table)) return 'is there';
  for (const target of targets) await buildOne(connection, target);
  // The partitioned table takes in the indexes of its partitions: a moment, but nobody writes meanwhile.
  await connection.query(`SET lock_timeout = '2s'`);
  try {
    await connection.query(
      placedOn(index.definition, index.table, quoteIdent(schema, index.table)),
    );
  } finally {
    await connection.query(`SET lock_timeout = '${lockTimeout}'`);
  }
  return 'built';
}

/** One index to build: its definition, made for `table`, becomes `name` on `schema`.`target`. */
type Target = { definition: string; table: string; name: string; schema: string; target: string };

/** The table itself; of a partitioned one, on which nothing can be built CONCURRENTLY, its partitions. */
async function targetsOf(
  connection: DirectConnection,
  schema: string,
  { name, index: { definition, table } }: Plan['addIndexes'][number],
): Promise<Target[]> {
  const { rows } = await connection.query<{ oid: number; schema: string; target: string }>(
    `SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS target
     FROM pg_class AS whole
     JOIN pg_partition_tree(whole.oid) AS part ON part.isleaf
     JOIN pg_class AS c ON c.oid = part.relid AND c.relkind = 'r'
     JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE whole.oid = to_regclass($1) AND whole.relkind = 'p' ORDER BY c.oid`,
    [quoteIdent(schema, table)],
  );
  if (rows.length === 0) return [{ definition, table, name, schema, target: table }];
  return rows.map(({ oid, ...place }) => {
    // Names have 63 bytes; ours are ASCII.
    return { definition, table, name: `${name.slice(0, 50)}_${oid}`, ...place };
  });
}

async function buildOne(connection: DirectConnection, one: Target): Promise<'built' | 'is there'> {
  const { name, schema, target } = one;
  const valid = await validityOf(connection, schema, name, target);
  if (valid === true) return 'is there';
  if (valid === false) await dropLeftover(connection, schema, name, target);
  try {
    await connection.query(concurrently(one));
    return 'built';
  } catch (error) {
    if (!(error instanceof ConsoleError) || error.sqlState !== duplicateState) throw error;
    // Another console has built it since we looked.
    if ((await validityOf(connection, schema, name, target)) !== true) throw error;
    return 'is there';
  }
}

/** `CREATE INDEX x ON t …` → `CREATE INDEX CONCURRENTLY "x" ON "schema"."t" …` */
function concurrently({ definition, table, name, schema, target }: Target): string {
  const named = definition.replace(
    /^CREATE (UNIQUE )?INDEX \S+/,
    (_, unique: string | undefined) =>
      `CREATE ${unique ?? ''}INDEX CONCURRENTLY ${quoteIdent(name)}`,
  );
  return placedOn(named, table, quoteIdent(schema, target));
}

function placedOn(definition: string, table: string, target: string): string {
  // A function, since "$" in a replacement text has a meaning, and a schema's name may hold it.
  return definition.replace(` ON ${table} `, () => ` ON ${target} `);
}

/** What a failed build left is dropped; the error when that fails as well. */
async function cleanUp(
  connection: DirectConnection,
  schema: string,
  missing: Plan['addIndexes'][number],
): Promise<unknown> {
  try {
    for (const { name, schema: place, target } of await targetsOf(connection, schema, missing)) {
      if ((await validityOf(connection, place, name, target)) !== false) continue;
      await dropLeftover(connection, place, name, target);
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
