import { quoteIdent } from '../../../db/quote.js';
import { formatBytes } from '../../../shared/format/bytes.js';
import { counted, firstOf, good, type Check } from '../check.js';

/**
 * Pairs of which the first is not needed beside the second: the same key over the same rows
 * (`duplicate`), or a btree whose key is the beginning of the other's (`redundant`). A unique one is
 * needed for what it enforces; of two equal ones the younger goes.
 */
const duplicatesStatement = `
WITH keys AS MATERIALIZED (
  SELECT x.indexrelid, x.indrelid, i.relname::text AS name, t.relname::text AS table, i.relam,
    am.amname::text AS method, x.indisunique, x.indnkeyatts, x.indnatts,
    i.relpages::bigint * current_setting('block_size')::int AS bytes,
    array_to_string((x.indkey::int2[])[0 : x.indnkeyatts - 1], ' ') AS key,
    array_to_string((x.indkey::int2[])[x.indnkeyatts : x.indnatts - 1], ' ') AS included,
    x.indclass::text AS classes, x.indcollation::text AS collations, x.indoption::text AS options,
    COALESCE(pg_get_expr(x.indpred, x.indrelid), '') AS predicate,
    COALESCE(pg_get_expr(x.indexprs, x.indrelid), '') AS expressions
  FROM pg_index AS x
  JOIN pg_class AS i ON i.oid = x.indexrelid
  JOIN pg_am AS am ON am.oid = i.relam
  JOIN pg_class AS t ON t.oid = x.indrelid
  WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
    AND x.indisvalid AND NOT x.indisexclusion
)
SELECT DISTINCT ON (a.indexrelid) a.name AS index, a.table, a.bytes, b.name AS beside,
  a.indnkeyatts = b.indnkeyatts AS duplicate
FROM keys AS a
JOIN keys AS b ON b.indrelid = a.indrelid AND b.relam = a.relam AND b.indexrelid <> a.indexrelid
  AND b.predicate = a.predicate AND b.expressions = a.expressions
WHERE NOT a.indisunique
  AND ((a.key = b.key AND a.classes = b.classes AND a.collations = b.collations AND a.options = b.options
        AND (a.included = '' OR a.included = b.included)
        AND (b.indisunique OR b.included <> a.included OR a.indexrelid > b.indexrelid))
    OR (a.method = 'btree' AND a.expressions = '' AND a.indnkeyatts = a.indnatts AND a.indnkeyatts < b.indnkeyatts
        AND starts_with(b.key, a.key || ' ') AND starts_with(b.classes, a.classes || ' ')
        AND starts_with(b.collations, a.collations || ' ') AND starts_with(b.options, a.options || ' ')))
ORDER BY a.indexrelid, duplicate DESC, b.indexrelid`;

type Pair = { index: string; table: string; bytes: number; beside: string; duplicate: boolean };

export const duplicateIndexes: Check = {
  id: 'duplicate-indexes',
  title: 'Duplicate indexes',
  why: 'An index that another one covers is written with every row and read for nothing that the other could not answer.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<Pair>(duplicatesStatement, [capabilities.schema]);
    const [first] = rows;
    if (!first) return good('No index is covered by another.');
    const lines = rows.map(
      ({ index, beside, bytes, duplicate }) =>
        `${index} (${formatBytes(bytes)}) ${duplicate ? 'is a duplicate of' : 'is the beginning of'} ${beside}`,
    );
    return {
      severity: rows.some(({ duplicate }) => duplicate) ? 'warning' : 'advice',
      evidence: `${counted(rows.length, 'index', 'indexes')} too many: ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Drop the one that is covered.',
      command: `DROP INDEX CONCURRENTLY ${quoteIdent(capabilities.schema, first.index)};`,
    };
  },
};
