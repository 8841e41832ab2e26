import { quoteIdent } from '../../../db/quote.js';
import { exceptEmbedded, firstOf, good, type Check } from '../check.js';

type Row = { enabled: boolean; counting: boolean; tables: string[] };

export const autovacuum: Check = {
  id: 'autovacuum',
  title: 'Autovacuum',
  why: 'Without it nobody removes dead rows, keeps the statistics up to date, or freezes old rows before their numbers come round.',
  skip: exceptEmbedded('the console vacuums it by itself'),
  async run({ tx, capabilities: { schema } }) {
    const { rows } = await tx.query<Row>(
      `SELECT current_setting('autovacuum')::bool AS enabled, current_setting('track_counts')::bool AS counting,
         ARRAY(
           SELECT c.relname::text FROM pg_class AS c, pg_options_to_table(c.reloptions) AS o
           WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind IN ('r', 'm')
             AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::bool
           ORDER BY 1) AS tables`,
      [schema],
    );
    const { enabled = true, counting = true, tables = [] } = rows[0] ?? {};
    if (!enabled || !counting) {
      const name = enabled ? 'track_counts' : 'autovacuum';
      return {
        severity: 'critical',
        evidence: `${name} is off for the whole server${enabled ? ': autovacuum does not see what changed' : ''}.`,
        mend: 'Switch it on; a reload is enough.',
        command: `ALTER SYSTEM SET ${name} = on; SELECT pg_reload_conf();`,
      };
    }
    const [first] = tables;
    if (first === undefined) return good('It is on, for every table.');
    return {
      severity: 'warning',
      evidence: `It is off for ${firstOf(tables)}.`,
      items: tables,
      mend: 'Switch it on again for the table.',
      command: `ALTER TABLE ${quoteIdent(schema, first)} RESET (autovacuum_enabled);`,
    };
  },
};
