import type { DirectConnection } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { replacementMark } from './rebuild-lock.js';
import type { ActionContext, Progress } from '../action.js';
import { followStatement, readBuildProgress, pauseUnlessAborted } from '../long-statement.js';
import { type IndexState, createStatement, nameBeside, type WantedVector } from './rebuild-plan.js';
import { dropLeftovers } from './leftovers.js';

/** The swap takes two locks on indexes that nobody holds for long; tried several times. */
const swap = { lockTimeoutMs: 2_000, attempts: 10, pauseMs: 1_000 };

export type Replaced = {
  end: 'finished' | 'left';
  /** The old index, when it could not be dropped: in the way of nobody, found as a leftover. */
  leftBehind: string | null;
};

/**
 * Builds an index of another method or with other lists beside the old one, makes sure that it is valid,
 * gives it the old one's name in one short transaction, and drops the old one. Queries have a valid index
 * of the fixed name at every moment. What a kill leaves, at any moment, is marked: a half-built index is
 * invalid, a finished one carries the console's mark in its comment, and both are found as leftovers.
 *
 * @param finished a replacement that an earlier run built, and that is only to be put in place
 */
export async function* replaceIndex(
  context: ActionContext,
  connection: DirectConnection,
  state: IndexState,
  wanted: WantedVector,
  finished: string | undefined,
): AsyncGenerator<Progress, Replaced> {
  const { schema, index } = state;
  let name = finished;
  if (name === undefined) {
    name = nameBeside(index, 'tcnew', await namesOf(connection, schema));
    const marking = markWhenThere(context, schema, name, index);
    try {
      const end = yield* followStatement(
        context,
        connection,
        createStatement(state, wanted, name),
        {
          phase: `building ${name}`,
          readProgress: readBuildProgress,
          detachable: true,
        },
      );
      if (end === 'left') return { end, leftBehind: null };
    } finally {
      await marking.stop();
    }
    await connection.query(markStatement(schema, name, index));
  }
  yield { phase: `checking ${name}, then giving it the name` };
  const old = nameBeside(index, 'tcold', await namesOf(connection, schema));
  await swapNames(context, connection, state, name, old);
  return { end: 'finished', leftBehind: yield* dropOld(context, connection, old) };
}

/** The new index is in use by now: neither a reader that holds the old one nor a cancel is a failure. */
async function* dropOld(
  context: ActionContext,
  connection: DirectConnection,
  old: string,
): AsyncGenerator<Progress, string | null> {
  const options = { phase: 'dropping the old index' };
  try {
    const dropped = yield* dropLeftovers(context, connection, { names: [old] }, options);
    return dropped.includes(old) ? null : old;
  } catch (error) {
    if (error instanceof ConsoleError) return old;
    throw error;
  }
}

function markStatement(schema: string, name: string, index: string): string {
  return `COMMENT ON INDEX ${quoteIdent(schema, name)} IS ${quoteLiteral(`${replacementMark}is to replace ${index}`)}`;
}

/**
 * Marks the index while it is still being built, from another session: the build goes on when the console
 * is killed, and leaves a valid index that nothing else would tell from somebody's own.
 */
function markWhenThere(
  { database }: ActionContext,
  schema: string,
  name: string,
  index: string,
): { stop: () => Promise<void> } {
  const stopped = new AbortController();
  const attempt = async () => {
    // Not needed on the embedded engine: no other session is answered meanwhile, and the build is undone when its client goes.
    if (database.capabilities.embedded) return;
    const isStopped = () => stopped.signal.aborted;
    for (let waitMs = 20; !isStopped(); waitMs = Math.min(1_000, waitMs * 2)) {
      await pauseUnlessAborted(waitMs, stopped.signal);
      if (isStopped()) return;
      try {
        await database.transaction({}, (tx) => tx.query(markStatement(schema, name, index)));
        return;
      } catch {
        // The index is not visible yet, or locked: marking is tried again, and done at the end at the latest.
      }
    }
  };
  const attempts = attempt();
  return {
    stop: () => {
      stopped.abort();
      return attempts;
    },
  };
}

/** A replacement that an earlier run finished without putting it to use, when it is as wanted now. */
export async function finishedReplacement(
  connection: DirectConnection,
  { schema, index, oid }: IndexState,
  wanted: WantedVector,
): Promise<string | undefined> {
  const { rows } = await connection.query<{ name: string }>(
    `SELECT i.relname::text AS name
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS am ON am.oid = i.relam
     JOIN pg_index AS old ON old.indexrelid = $1::oid
       AND old.indrelid = x.indrelid AND old.indkey::text = x.indkey::text
     WHERE x.indisvalid AND x.indisready AND i.relnamespace = $2::regnamespace AND am.amname = $3
       AND ($4::int IS NULL OR 'lists=' || $4::int = ANY (i.reloptions))
       AND obj_description(i.oid, 'pg_class') = $5
     LIMIT 1`,
    [
      oid,
      quoteIdent(schema),
      wanted.method,
      wanted.lists,
      `${replacementMark}is to replace ${index}`,
    ],
  );
  return rows[0]?.name;
}

async function namesOf(connection: DirectConnection, schema: string): Promise<string[]> {
  const { rows } = await connection.query<{ name: string }>(
    `SELECT relname::text AS name FROM pg_class WHERE relnamespace = $1::regnamespace`,
    [quoteIdent(schema)],
  );
  return rows.map(({ name }) => name);
}

/**
 * The old one takes a leftover's name and mark, the new one the name and comment of the old: both or
 * neither. Renaming an index stops neither readers nor writers (SHARE UPDATE EXCLUSIVE).
 */
async function swapNames(
  { signal }: ActionContext,
  connection: DirectConnection,
  { schema, table, index, vector }: IndexState,
  name: string,
  old: string,
): Promise<void> {
  const comment = vector?.comment ?? null;
  const mark = quoteLiteral(`${replacementMark}was replaced as ${index}`);
  for (let attempt = 1; ; attempt += 1) {
    if (signal.aborted) throw new ConsoleError('interrupted', 'Cancelled before the swap.');
    try {
      await connection.query(`BEGIN; SET LOCAL lock_timeout = ${swap.lockTimeoutMs}`);
      const { rows } = await connection.query<{ valid: boolean }>(
        `SELECT x.indisvalid AND x.indisready AND x.indislive AS valid
         FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
         WHERE i.relnamespace = $1::regnamespace AND i.relname = $2 AND x.indrelid = to_regclass($3)`,
        [quoteIdent(schema), name, quoteIdent(schema, table)],
      );
      if (!rows[0]?.valid) {
        throw new ConsoleError('query_failed', `${name} is not valid; ${index} is as it was.`);
      }
      await connection.query(
        `ALTER INDEX ${quoteIdent(schema, index)} RENAME TO ${quoteIdent(old)};
         COMMENT ON INDEX ${quoteIdent(schema, old)} IS ${mark};
         ALTER INDEX ${quoteIdent(schema, name)} RENAME TO ${quoteIdent(index)};
         COMMENT ON INDEX ${quoteIdent(schema, index)} IS ${comment === null ? 'NULL' : quoteLiteral(comment)};
         COMMIT`,
      );
      return;
    } catch (error) {
      await connection.query('ROLLBACK').catch(() => undefined);
      const isBusy = error instanceof ConsoleError && error.code === 'lock_timeout';
      if (!isBusy || attempt >= swap.attempts) throw error;
      await pauseUnlessAborted(swap.pauseMs, signal);
    }
  }
}
