import type { DirectConnection } from '../../db/direct-connection.js';
import type { Queryable } from '../../db/queryable.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import {
  isNamedAfterInSql,
  leftoverPattern,
  replacementMark,
  isBeingRebuilt,
} from './rebuild-lock.js';
import type { ActionContext, Progress, Action, OfferCommand, Outcome } from '../action.js';
import {
  followStatement,
  readBuildProgress,
  setLockTimeout,
  connectForMaintenance,
} from '../long-statement.js';
import { coreTables } from '../../core/tables.js';
import { formatBytes } from '../../core/format/number.js';

/** An index that an interrupted rebuild left, and that may be dropped. */
type Leftover = {
  name: string;
  table: string;
  /** The index it was to replace, or was replaced by. */
  of: string;
  bytes: number;
  /** The role may drop it. */
  owned: boolean;
  /** False: half-built. True: finished by the console, and not in use. */
  valid: boolean;
};

/**
 * The safe rule, all of it:
 * - the name ends as a leftover's does, and what stands before is the name of another index of the same
 *   table over the same columns;
 * - the index is invalid, or the console's own mark says that it is finished but not in use, while the
 *   index that is in use is valid;
 * - nobody builds an index of that table, and no other console is between building, swapping and dropping. A role
 *   that may not see what others build gets no table in the view, and then any build counts.
 * A healthy index is therefore never among them, whatever its name.
 *
 * `$2`: the schema; `$3`: index names, or NULL for all; `$4`: the mark; `$5`: the index they are of, or NULL.
 */
const leftoversStatement = `
SELECT i.relname::text AS name, t.relname::text AS table, used.relname::text AS of,
  pg_relation_size(i.oid) AS bytes, pg_has_role(current_user, i.relowner, 'USAGE') AS owned,
  x.indisvalid AS valid
FROM pg_class AS i
JOIN pg_index AS x ON x.indexrelid = i.oid
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN LATERAL (
  SELECT other.relname, y.indisvalid
  FROM pg_index AS y JOIN pg_class AS other ON other.oid = y.indexrelid
  WHERE y.indrelid = x.indrelid AND y.indexrelid <> x.indexrelid AND y.indkey::text = x.indkey::text
    AND ${isNamedAfterInSql('i.relname', 'other.relname')} AND ($5::text IS NULL OR other.relname = $5)
  ORDER BY other.relname LIMIT 1
) AS used ON true
WHERE i.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2) AND i.relkind = 'i'
  AND i.relname ~ $1 AND ($3::text[] IS NULL OR i.relname = ANY ($3))
  AND (NOT x.indisvalid
    OR (used.indisvalid AND starts_with(COALESCE(obj_description(i.oid, 'pg_class'), ''), $4)))
  AND NOT EXISTS (
    SELECT FROM pg_stat_progress_create_index AS p
    WHERE p.datname = current_database() AND (p.relid = t.oid OR p.relid IS NULL)
  )
  AND NOT ${isBeingRebuilt('$2', 'used.relname')}
ORDER BY 1`;

export type LeftoverFilter = {
  names?: readonly string[];
  of?: string;
  except?: string | undefined;
};

/** The leftovers of the target schema by the safe rule. */
export async function findLeftovers(
  queryable: Queryable,
  schema: string,
  { names, of, except }: LeftoverFilter = {},
): Promise<Leftover[]> {
  const { rows } = await queryable.query<Leftover>(leftoversStatement, [
    leftoverPattern,
    schema,
    names ? [...names] : null,
    replacementMark,
    of ?? null,
  ]);
  return rows.filter(({ name }) => name !== except);
}

/** How long the drop of a leftover waits for those who use its table, at most; milliseconds. */
export const dropTimeoutMs = 60_000;

export type DropOptions = { phase?: string; lockTimeoutMs?: number };

/**
 * Drops leftovers, each looked at again by the safe rule just before: DROP INDEX CONCURRENTLY. Its lock
 * time-out is harmless here, though it marks an index invalid: these are not in use.
 *
 * @returns the names of the indexes that were dropped
 * @throws ConsoleError when one cannot be dropped; those before it are gone
 */
export async function* dropLeftovers(
  context: ActionContext,
  connection: DirectConnection,
  filter: LeftoverFilter,
  { phase = 'dropping', lockTimeoutMs = dropTimeoutMs }: DropOptions = {},
): AsyncGenerator<Progress, string[]> {
  const { schema } = context.database.capabilities;
  const dropped: string[] = [];
  await setLockTimeout(connection, Math.min(dropTimeoutMs, lockTimeoutMs));
  for (const { name, owned } of await findLeftovers(connection, schema, filter)) {
    if (context.signal.aborted) break;
    if (!owned) continue;
    const [still] = await findLeftovers(connection, schema, { ...filter, names: [name] });
    if (!still) continue;
    try {
      yield* followStatement(context, connection, dropStatement(schema, name), {
        phase: `${phase} ${name}`,
        readProgress: readBuildProgress,
      });
    } catch (error) {
      if (!(error instanceof ConsoleError) || error.code !== 'lock_timeout') throw error;
      throw new ConsoleError('lock_timeout', `${name} is in the way of others and still there.`, {
        hint: 'Another transaction uses its table. Later: trace-console reindex --clean-up',
        cause: error,
      });
    }
    dropped.push(name);
  }
  return dropped;
}

export function dropStatement(schema: string, index: string): string {
  return `DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdent(schema, index)}`;
}

/** Nothing to choose: all leftovers that the preview lists. */
export type CleanUpInput = Readonly<Record<string, never>>;

export type CleanUpResult = {
  dropped: string[];
  /** Leftovers that are still there: of other owners, or not reached. */
  kept: string[];
};

export const cleanUpCommand: OfferCommand = {
  id: 'clean-up',
  key: 'x',
  title: 'drop the leftovers of interrupted rebuilds',
};

/** Drops what interrupted rebuilds left, by the safe rule of leftovers.ts and by nothing else. */
export const cleanUp: Action<CleanUpInput, CleanUpResult> = {
  id: 'clean-up',
  title: 'Clean up leftovers',
  requires: ['primary', 'direct-connection', 'ownership', 'own-rows'],
  tables: () => coreTables,
  offers: [
    {
      command: cleanUpCommand,
      choose: () => ({ title: 'Clean up leftovers', input: {} }),
    },
  ],
  preview: async ({ database }) => {
    const { schema } = database.capabilities;
    const found = await database.transaction({ readOnly: true }, (tx) => findLeftovers(tx, schema));
    const owned = found.filter((leftover) => leftover.owned);
    return {
      title: `Clean up ${owned.length} leftover ${owned.length === 1 ? 'index' : 'indexes'}`,
      facts: [
        { label: 'Disk', value: `${formatBytes(sumOf(owned))} come free` },
        { label: 'Locks', value: 'SHARE UPDATE EXCLUSIVE; readers and writers go on' },
      ],
      list: owned.map(lineOf),
      sql: owned.map(({ name }) => dropStatement(schema, name)),
      warnings: found
        .filter((leftover) => !leftover.owned)
        .map(({ name }) => `${name} belongs to another owner and stays.`),
      ...(owned.length === 0
        ? { nothing: 'No interrupted rebuild has left an index, or one is running.' }
        : {}),
    };
  },
  run,
};

function sumOf(leftovers: readonly Leftover[]): number {
  return leftovers.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** `idx_pattern_embedding_ccnew  12 MB, invalid, of idx_pattern_embedding` */
function lineOf({ name, bytes, valid, of }: Leftover): string {
  return `${name}  ${formatBytes(bytes)}, ${valid ? 'not in use' : 'invalid'}, of ${of}`;
}

async function* run(context: ActionContext): AsyncGenerator<Progress, Outcome<CleanUpResult>> {
  const { database, signal } = context;
  const { schema } = database.capabilities;
  const connection = await connectForMaintenance(database);
  const dropped: string[] = [];
  try {
    try {
      dropped.push(...(yield* dropLeftovers(context, connection, {})));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  } finally {
    await connection.close();
  }
  const kept = await database.transaction({ readOnly: true }, (tx) => findLeftovers(tx, schema));
  const result = { dropped, kept: kept.map(({ name }) => name) };
  const cancelled = signal.aborted && kept.length > 0;
  const parts = [
    `${cancelled ? 'Cancelled; dropped' : 'Dropped'} ${dropped.length === 0 ? 'nothing' : dropped.join(', ')}`,
    ...(kept.length > 0 ? [`still there: ${result.kept.join(', ')}`] : []),
  ];
  return { summary: `${parts.join('; ')}.`, cancelled, result };
}
