import { quoteIdent } from '../../../db/quote.js';
import { firstOf, good, type Check } from '../check.js';

/** An index serves when its key begins with the constraint's columns, in any order. */
const unindexedStatement = `
SELECT c.conname::text AS name, t.relname::text AS table, n.nspname::text AS schema,
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.place) AS columns
FROM pg_constraint AS c
JOIN pg_class AS t ON t.oid = c.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_class AS r ON r.oid = c.confrelid
WHERE c.contype = 'f' AND c.conparentid = 0
  AND (SELECT oid FROM pg_namespace WHERE nspname = $1) IN (t.relnamespace, r.relnamespace)
  AND NOT EXISTS (
    SELECT FROM pg_index AS x
    WHERE x.indrelid = c.conrelid AND x.indisvalid
      AND (x.indkey::int2[])[0 : cardinality(c.conkey) - 1] @> c.conkey
      AND (x.indpred IS NULL OR pg_get_expr(x.indpred, x.indrelid) ~ '^\\(?"?\\w+"? IS NOT NULL\\)?$'))
ORDER BY 2, 1`;

type Row = { name: string; table: string; schema: string; columns: [string, ...string[]] };

export const foreignKeys: Check = {
  id: 'foreign-keys',
  title: 'Foreign keys without an index',
  why: 'Deleting or archiving a row reads every table that refers to it. Without an index on the referring columns each such look reads the whole table: 5.7 s for 1,000 rows were measured.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<Row>(unindexedStatement, [capabilities.schema]);
    const [first] = rows;
    if (!first) return good('Every foreign key has an index.');
    const lines = rows.map(
      ({ table, columns, name }) => `${table} (${columns.join(', ')}), ${name}`,
    );
    return {
      severity: 'warning',
      evidence: `No index on ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Create one; readers and writers go on meanwhile.',
      command: `CREATE INDEX CONCURRENTLY ON ${quoteIdent(first.schema, first.table)} (${first.columns.map((column) => quoteIdent(column)).join(', ')});`,
    };
  },
};
