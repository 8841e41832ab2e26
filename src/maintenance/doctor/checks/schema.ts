import { counted } from '../../../core/format/number.js';
import { readCatalogue } from '../../../deploy/catalogue.js';
import { compareWithManifest } from '../../../deploy/compare.js';
import { judgeTables } from '../../../deploy/judge.js';
import { firstOf, good, type Check, type CheckContext } from '../check.js';
import { quoteIdent } from '../../../db/quote.js';
import { archiveOf, archivedTables, coreTables } from '../../../core/tables.js';
import { supabaseRoles } from '../../../deploy/prerequisites.js';

export const schemaDifferences: Check = {
  id: 'schema',
  title: 'Schema',
  why: 'A table, index, trigger or function that is missing or differs makes figures wrong, queries slow, or archiving impossible.',
  async run({ tx, capabilities: { schema, supabaseRoles } }) {
    const catalogue = await readCatalogue(tx, schema);
    const broken = judgeTables(catalogue).filter(
      ({ verdict }) => verdict === 'missing' || verdict === 'incompatible',
    );
    const { ok, differences } = compareWithManifest(catalogue, supabaseRoles);
    if (ok) return good(`Everything is in the schema "${schema}" as it should be.`);
    const lines = differences.map(
      ({ component, object, problem }) => `${component}: ${object} ${problem}`,
    );
    const names = broken.map(({ table, verdict }) => `${table} (${verdict})`);
    return {
      severity: broken.length > 0 ? 'critical' : 'warning',
      evidence:
        broken.length > 0
          ? `${counted(broken.length, 'table')} missing or of another program in the schema "${schema}": ${firstOf(names)}.`
          : `${counted(differences.length, 'difference')} in the schema "${schema}": ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'See all of it with "schema verify". What is missing, "schema apply" creates after showing it; what differs is never changed.',
      command: 'trace-console schema apply',
    };
  },
};

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
        fix: 'Create the policies and switch it on, with the writers in mind: those that are neither owner nor service_role will need a policy.',
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
        fix: 'Create its policies, or switch it off.',
        command: 'trace-console schema apply --rls',
      };
    }
    const on = tables.length - off.length;
    if (on === 0)
      return good('It is off, and the grants of the tables decide; Supabase is not here.');
    if (firstOff !== undefined) {
      return {
        severity: 'advice',
        evidence: `It is on for ${on} of ${counted(tables.length, 'table')}, off on ${firstOf(off)}.`,
        items: off,
        fix: 'Decide for all tables alike: rows of a trace are in several of them.',
        command: `ALTER TABLE ${quoteIdent(capabilities.schema, firstOff)} ENABLE ROW LEVEL SECURITY;`,
      };
    }
    return good(`It is on for all ${counted(tables.length, 'table')}, with policies.`);
  },
};

const isProtected = `CASE t.relkind WHEN 'v' THEN EXISTS (
    SELECT FROM pg_class AS one WHERE one.relnamespace = t.relnamespace AND one.relkind IN ('r', 'p') AND one.relrowsecurity)
  ELSE t.relrowsecurity END`;

/**
 * Views over our tables and views that run with their owner's rights, and whether a table of theirs is protected. A materialized
 * view that only its owner may read shows nothing to anybody else.
 */
const leakingStatement = `
SELECT v.relname::text AS view, n.nspname::text AS schema, v.relkind = 'm' AS materialized,
  (SELECT string_agg(DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END, ', ')
   FROM aclexplode(v.relacl) AS acl WHERE acl.grantee <> v.relowner) AS readers,
  bool_or(${isProtected}) AS protected
FROM pg_class AS v
JOIN pg_namespace AS n ON n.oid = v.relnamespace
JOIN pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
JOIN pg_class AS t ON t.oid = d.refobjid
WHERE v.relkind IN ('v', 'm') AND t.relkind IN ('r', 'p', 'v')
  AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND NOT EXISTS (
    SELECT FROM pg_options_to_table(v.reloptions) AS o
    WHERE o.option_name = 'security_invoker' AND o.option_value::bool)
  AND (v.relkind = 'v' OR EXISTS (
    SELECT FROM aclexplode(v.relacl) AS acl WHERE acl.grantee <> v.relowner AND acl.privilege_type = 'SELECT'))
GROUP BY v.oid, v.relname, n.nspname, v.relkind, v.relacl, v.relowner
-- Those of the console are made with the warning that belongs to them.
HAVING n.nspname <> 'trace_console' OR bool_or(${isProtected})
ORDER BY protected DESC, v.relname`;

type LeakingRow = {
  view: string;
  schema: string;
  materialized: boolean;
  /** Quoted, for REVOKE; of a materialized view there are some. */
  readers: string | null;
  protected: boolean;
};

export const leakingViews: Check = {
  id: 'leaking-views',
  title: 'Leaking views',
  why: 'A view runs with its owner’s rights unless security_invoker is set: whoever may read it sees every row, whatever the policies of the tables say. A materialized view keeps them in any case.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<LeakingRow>(leakingStatement, [capabilities.schema]);
    const leaking = rows.filter((row) => row.protected);
    const [first] = rows;
    if (!first) return good('Every view runs with the rights of who reads it.');
    const names = (leaking.length > 0 ? leaking : rows).map(({ view }) => view);
    return {
      severity: leaking.length > 0 ? 'warning' : 'advice',
      evidence: `${firstOf(names)} ${names.length === 1 ? 'runs' : 'run'} with the owner’s rights${
        leaking.length > 0
          ? ': policies of the tables do not hold there'
          : '; no table below has policies yet'
      }.`,
      items: names,
      fix: first.materialized
        ? 'Revoke it from roles that policies are meant for, or make a plain view of it.'
        : 'Let it run with the rights of who reads it.',
      command: first.materialized
        ? `REVOKE ALL ON ${quoteIdent(first.schema, first.view)} FROM ${first.readers ?? 'PUBLIC'};`
        : `ALTER VIEW ${quoteIdent(first.schema, first.view)} SET (security_invoker = true);`,
    };
  },
};

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
    const isForUsers = user === 'authenticated' || user === 'anon';
    const locked = rows.filter(({ readable }) => !readable).map(({ table }) => table);
    const filtered = rows
      .filter((row) => row.readable && row.filtered && user !== 'service_role')
      .map(({ table }) => table);
    if (locked.length > 0) {
      return {
        severity: 'warning',
        evidence: `"${user}" may not read ${firstOf(locked)}.`,
        items: locked,
        // What this role cannot do itself is no command for its connection.
        fix: `Let the owner run: GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${quoteIdent(user)}; GRANT SELECT ON ALL TABLES IN SCHEMA ${quoteIdent(schema)} TO ${quoteIdent(user)};`,
      };
    }
    if (filtered.length > 0) {
      return {
        severity: 'warning',
        evidence: `Row-level security hides rows of ${firstOf(filtered)} from "${user}": the figures are of a part only.`,
        items: filtered,
        fix: isForUsers
          ? `To see all rows connect as the owner of the tables or as service_role. "${user}" is for users, each with rows of his own: leave it so.`
          : `To see all rows connect as the owner of the tables, as service_role, or as a role with BYPASSRLS, which a superuser gives: ALTER ROLE ${quoteIdent(user)} BYPASSRLS;`,
      };
    }
    return good(`"${user}" reads all rows of all tables.`);
  },
};
