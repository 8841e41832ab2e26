import { quoteIdent } from '../../../db/quote.js';
import { firstOf, good, type Check } from '../check.js';

/** Views over our tables that run with their owner's rights, and whether a table of theirs is protected. */
const leakingStatement = `
SELECT v.relname::text AS view, n.nspname::text AS schema, v.relkind = 'm' AS materialized,
  bool_or(t.relrowsecurity) AS protected
FROM pg_class AS v
JOIN pg_namespace AS n ON n.oid = v.relnamespace
JOIN pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
JOIN pg_class AS t ON t.oid = d.refobjid
WHERE v.relkind IN ('v', 'm') AND t.relkind IN ('r', 'p')
  AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND NOT EXISTS (
    SELECT FROM pg_options_to_table(v.reloptions) AS o
    WHERE o.option_name = 'security_invoker' AND o.option_value::bool)
GROUP BY v.oid, v.relname, n.nspname, v.relkind
ORDER BY protected DESC, v.relname`;

type LeakingRow = { view: string; schema: string; materialized: boolean; protected: boolean };

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
      mend: first.materialized
        ? 'Revoke it from roles that policies are meant for, or make a plain view of it.'
        : 'Let it run with the rights of who reads it.',
      command: first.materialized
        ? `REVOKE ALL ON ${quoteIdent(first.schema, first.view)} FROM anon, authenticated;`
        : `ALTER VIEW ${quoteIdent(first.schema, first.view)} SET (security_invoker = true);`,
    };
  },
};
