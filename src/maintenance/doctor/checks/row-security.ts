import { quoteIdent } from '../../../db/quote.js';
import { archiveOf, archivedTables, coreTables } from '../../../shared/tables.js';
import { supabaseRoles } from '../../../deploy/roles.js';
import { firstOf, good, type Check, type CheckContext } from '../check.js';

type TableRow = { table: string; enabled: boolean; policies: number };

async function readTables({ tx, capabilities }: CheckContext): Promise<TableRow[]> {
  const { rows } = await tx.query<TableRow>(
    `SELECT c.relname::text AS table, c.relrowsecurity AS enabled,
       (SELECT count(*) FROM pg_policy AS p WHERE p.polrelid = c.oid) AS policies
     FROM pg_class AS c
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
       AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)
     ORDER BY c.relname`,
    [capabilities.schema, [...coreTables, ...archivedTables.map(archiveOf)]],
  );
  return rows;
}

export const rowSecurity: Check = {
  id: 'row-security',
  title: 'Row-level security',
  why: 'Where Supabase serves the tables to browsers, row-level security is what keeps one user from the prompts of another. On a table where it is on without a policy nobody but the owner sees a row.',
  async run(context) {
    const { capabilities } = context;
    const tables = await readTables(context);
    const off = tables.filter(({ enabled }) => !enabled).map(({ table }) => table);
    const closed = tables.filter(({ enabled, policies }) => enabled && policies === 0);
    const exposed = supabaseRoles.every((role) => capabilities.supabaseRoles.includes(role));
    const [firstOff] = off;
    if (exposed && firstOff !== undefined) {
      return {
        severity: 'warning',
        evidence: `Supabase's roles are here, and row-level security is off on ${firstOf(off)}: their grants alone decide.`,
        items: off,
        mend: 'Create the policies and switch it on, with the writers in mind: those that are neither owner nor service_role will need a policy.',
        command: 'trace-console schema apply --rls',
      };
    }
    const [first] = closed;
    if (first) {
      const names = closed.map(({ table }) => table);
      return {
        severity: 'warning',
        evidence: `Row-level security is on without any policy on ${firstOf(names)}: nobody but the owner sees or writes a row.`,
        items: names,
        mend: 'Create its policies, or switch it off.',
        command: 'trace-console schema apply --rls',
      };
    }
    const on = tables.length - off.length;
    if (on === 0)
      return good('It is off, and the grants of the tables decide; Supabase is not here.');
    if (firstOff !== undefined) {
      return {
        severity: 'advice',
        evidence: `It is on for ${on} of ${tables.length} tables, off on ${firstOf(off)}.`,
        items: off,
        mend: 'Decide for all tables alike: rows of a trace are in several of them.',
        command: `ALTER TABLE ${quoteIdent(capabilities.schema, firstOff)} ENABLE ROW LEVEL SECURITY;`,
      };
    }
    return good(`It is on for all ${tables.length} tables, with policies.`);
  },
};
