import type { Queryable } from '../db/database.js';
import { functionName } from './catalogue-queries.js';

/**
 * The DROP FUNCTION statements of functions, named as the catalogue names them. The server writes
 * the signatures, since only it knows in which schema the types of the arguments live.
 */
export async function dropFunctionStatements(
  tx: Queryable,
  schema: string,
  names: readonly string[],
): Promise<string[]> {
  const { rows } = await tx.query<{ statement: string }>(
    `SELECT format('DROP FUNCTION %s', p.oid::regprocedure) AS statement
     FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
     WHERE n.nspname = $1 AND ${functionName} = ANY ($2)
     ORDER BY p.proname`,
    [schema, names],
  );
  return rows.map(({ statement }) => statement);
}
