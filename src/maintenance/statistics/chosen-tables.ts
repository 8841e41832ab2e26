import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import { archiveOf, archivedTables, coreTables } from '../../shared/tables.js';
import { ownerHint } from '../guard.js';

/** Which tables: these, or all of the schema's and their archives. */
export type TablesInput = { tables?: readonly string[] };

/** Ours, as far as they exist. */
export const ourTables: readonly string[] = [...coreTables, ...archivedTables.map(archiveOf)];

export type TableFigures = {
  table: string;
  bytes: number;
  rows: number | null;
  deadRows: number;
  changedSinceAnalyze: number;
};

type Row = TableFigures & { allowed: boolean };

/**
 * The tables that are meant, the smallest first, with what the statistics know of them.
 *
 * @throws ConsoleError when one is unknown, or the role may not maintain it: the server would only warn
 */
export async function readChosenTables(
  database: Database,
  title: string,
  { tables }: TablesInput,
): Promise<TableFigures[]> {
  const { schema, serverVersion, user } = database.capabilities;
  const names = tables ?? ourTables;
  const maintain = serverVersion >= 170_000 ? `OR has_table_privilege(c.oid, 'MAINTAIN')` : '';
  const rows = await database.read<Row>(
    `SELECT c.relname::text AS table, pg_table_size(c.oid) AS bytes,
       CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END AS rows,
       pg_stat_get_dead_tuples(c.oid) AS "deadRows",
       pg_stat_get_mod_since_analyze(c.oid) AS "changedSinceAnalyze",
       pg_has_role(current_user, c.relowner, 'USAGE') ${maintain}
         OR (SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
             WHERE datname = current_database()) AS allowed
     FROM pg_class AS c
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
       AND c.relkind IN ('r', 'm') AND c.relname = ANY ($2)
     ORDER BY bytes, c.relname`,
    [schema, [...names]],
  );
  const unknown = tables?.find((name) => !rows.some(({ table }) => table === name));
  if (unknown !== undefined || rows.length === 0) {
    throw new ConsoleError('usage', `There is no table ${unknown ?? 'of ours'} in ${schema}.`, {
      hint: 'trace-console status --pane table-sizes lists them.',
    });
  }
  const refused = rows.filter(({ allowed }) => !allowed).map(({ table }) => table);
  if (refused.length > 0) {
    const grant = serverVersion >= 170_000 ? ' GRANT MAINTAIN on the table allows it, too.' : '';
    throw new ConsoleError(
      'privilege_missing',
      `${title}: refused, "${user}" does not own ${refused.join(', ')}.`,
      { hint: `${ownerHint}${grant}` },
    );
  }
  return rows;
}

export function subjectOf({ tables }: TablesInput): string {
  return tables === undefined ? 'all tables' : tables.join(', ');
}

/** The journal's JSON as input again. */
export function readTablesInput(stored: unknown): TablesInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { tables } = stored as { tables?: unknown };
  if (tables === undefined) return {};
  const names = Array.isArray(tables) ? tables.filter((name) => typeof name === 'string') : [];
  return Array.isArray(tables) && names.length === tables.length ? { tables: names } : undefined;
}
