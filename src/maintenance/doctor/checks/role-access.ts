import { quoteIdent } from '../../../db/quote.js';
import { coreTables } from '../../../shared/tables.js';
import { firstOf, good, type Check } from '../check.js';

type AccessRow = { table: string; readable: boolean; filtered: boolean };

export const roleAccess: Check = {
  id: 'role-access',
  title: 'This role',
  why: 'What the connected role may not read, or only in part, is missing in every figure of the console.',
  async run({ tx, capabilities: { schema, user } }) {
    const { rows } = await tx.query<AccessRow>(
      `SELECT c.relname::text AS table, has_table_privilege(c.oid, 'SELECT') AS readable,
         row_security_active(c.oid) AS filtered
       FROM pg_class AS c
       WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
         AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)
       ORDER BY c.relname`,
      [schema, [...coreTables]],
    );
    const locked = rows.filter(({ readable }) => !readable).map(({ table }) => table);
    const filtered = rows
      .filter((row) => row.readable && row.filtered && user !== 'service_role')
      .map(({ table }) => table);
    if (locked.length > 0) {
      return {
        severity: 'warning',
        evidence: `"${user}" may not read ${firstOf(locked)}.`,
        items: locked,
        mend: 'Let the owner grant it.',
        command: `GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${quoteIdent(user)}; GRANT SELECT ON ALL TABLES IN SCHEMA ${quoteIdent(schema)} TO ${quoteIdent(user)};`,
      };
    }
    if (filtered.length > 0) {
      return {
        severity: 'warning',
        evidence: `Row-level security hides rows of ${firstOf(filtered)} from "${user}": the figures are of a part only.`,
        items: filtered,
        mend: 'Connect as the owner of the tables, as service_role, or as a role with BYPASSRLS.',
        command: `ALTER ROLE ${quoteIdent(user)} BYPASSRLS;`,
      };
    }
    return good(`"${user}" reads all rows of all tables.`);
  },
};
