import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { ConsoleError } from '../db/errors.js';
import { quoteIdent } from '../db/quote.js';
import { archiveOf, archivedTables, coreTables } from '../core/tables.js';
import { readCatalogue, type Catalogue, manifest, functionName } from './catalogue.js';
import { judgeTables, earlierSignatures, isEarlierView } from './judge.js';
import { clearLedger } from './console-schema.js';
import { functionProblem, viewProblem } from './compare.js';
import { dropStatement, readMaterialized } from './materialized.js';

/** What a reset would drop, with the estimated rows that would be lost. */
export type ResetPlan = {
  /** Null: the rows lie on workers of a cluster. */
  tables: { name: string; estimatedRows: number | null }[];
  /** In trace_console, of the views. */
  materialized: string[];
  views: string[];
  functions: string[];
  keptArchives: string[];
};

export type ResetOptions = { archives?: boolean };

export async function planReset(
  database: Database,
  options: ResetOptions = {},
): Promise<ResetPlan> {
  return database.transaction({ readOnly: true }, async (tx) => {
    const catalogue = await readCatalogue(tx, database.capabilities.schema);
    return resetPlan(tx, database, catalogue, options);
  });
}

/**
 * Drops the tables, views and functions of ours, and forgets in the ledger that they were applied.
 * Never extensions, never roles; archives only when asked. Everything in one transaction.
 *
 * @throws ConsoleError `schema_incompatible` when a table of our name is not ours, `query_failed`
 * when objects of others depend on ours.
 */
export async function resetSchema(
  database: Database,
  options: ResetOptions = {},
): Promise<ResetPlan> {
  if (database.readOnly) {
    throw new ConsoleError('read_only', 'The schema is not dropped with --read-only.');
  }
  const { schema } = database.capabilities;
  const plan = await database.transaction(
    { statementTimeoutMs: 0, lockTimeoutMs: 5_000 },
    async (tx) => {
      const catalogue = await readCatalogue(tx, schema);
      const found = await resetPlan(tx, database, catalogue, options);
      const drop = async (kind: string, names: readonly string[]) => {
        if (names.length === 0) return;
        await tx.query(`DROP ${kind} ${names.map((name) => quoteIdent(schema, name)).join(', ')}`);
      };
      try {
        for (const name of found.materialized) await tx.query(dropStatement(name));
        await drop('VIEW', found.views);
        await drop(
          'TABLE',
          found.tables.map(({ name }) => name),
        );
        for (const statement of await dropFunctionStatements(tx, schema, found.functions)) {
          await tx.query(statement);
        }
      } catch (cause) {
        throw dependents(cause);
      }
      await clearLedger(tx, schema);
      return found;
    },
  );
  await database.refreshCapabilities();
  return plan;
}

async function resetPlan(
  tx: Queryable,
  database: Database,
  catalogue: Catalogue,
  options: ResetOptions,
): Promise<ResetPlan> {
  const foreign = judgeTables(catalogue).filter(({ verdict }) => verdict === 'incompatible');
  if (foreign.length > 0) {
    const names = foreign.map(({ table, reasons }) => `${table} (${reasons.join(', ')})`);
    throw new ConsoleError(
      'schema_incompatible',
      `Not ours, so not dropped: ${names.join('; ')}.`,
      {
        hint: 'Nothing was touched. Rename or drop that table by hand first.',
      },
    );
  }
  const archives = archivedTables.map(archiveOf).filter((name) => byOwnKey(catalogue.tables, name));
  const tables = [
    ...coreTables.filter((name) => byOwnKey(catalogue.tables, name)),
    ...(options.archives ? archives : []),
  ];
  const { rows } = await tx.query<{ name: string; rows: number }>(
    `SELECT c.relname::text AS name, GREATEST(c.reltuples, 0)::bigint AS rows
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
    [database.capabilities.schema, tables],
  );
  const rowsOf = new Map(rows.map(({ name, rows: count }) => [name, count]));
  const copies = await readMaterialized(tx, database.capabilities.schema);
  return {
    tables: tables.map((name) => {
      const isElsewhere = database.capabilities.citus?.tables.includes(name) === true;
      return { name, estimatedRows: isElsewhere ? null : (rowsOf.get(name) ?? 0) };
    }),
    materialized: copies.map(({ name }) => name),
    // A view or function of our name that we did not write is somebody else's.
    views: Object.keys(manifest.views).filter(
      (name) =>
        byOwnKey(catalogue.views, name) &&
        (isEarlierView(name, catalogue) || !viewProblem(name, catalogue)),
    ),
    functions: Object.keys(manifest.functions).flatMap((name) => {
      const earlier = earlierSignatures(name, catalogue);
      if (earlier.length > 0) return earlier;
      return byOwnKey(catalogue.functions, name) && !functionProblem(name, catalogue) ? [name] : [];
    }),
    keptArchives: options.archives ? [] : archives,
  };
}

function dependents(cause: unknown): unknown {
  const { sqlState, cause: original } = cause as { sqlState?: string; cause?: { detail?: string } };
  if (sqlState !== '2BP01') return cause;
  return new ConsoleError('query_failed', 'Objects of others depend on the schema.', {
    hint: `Nothing was dropped. ${original?.detail ?? ''}`.trim(),
    cause,
  });
}

/**
 * The DROP FUNCTION statements of functions, named as the catalogue names them. The server writes
 * the signatures, since only it knows in which schema the types of the arguments live.
 */
async function dropFunctionStatements(
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
