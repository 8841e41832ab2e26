import { formatBytes } from '../../../shared/format/bytes.js';
import { formatShare } from '../../../shared/format/number.js';
import type { Queryable } from '../../../db/database.js';
import { counted, firstOf, good, type Check } from '../check.js';
import { noStatisticsSeen, readBloat, usualBloat, type BloatLimits } from '../read-bloat.js';

/** pgstattuple reads the whole index: one that is larger is left at its estimate. */
const mostReadBytes = 256 * 1_048_576;

/**
 * What the entries of a B-tree would take by the planner's statistics (average width of each key, 8 bytes of header and
 * 4 of pointer an entry, pages filled to the fillfactor) against the pages there are. Equal keys share
 * entries, which makes an index smaller than that: then the estimate is too low, never too high. An index over an
 * expression, or over columns that the role may not read, has no statistics to see: `known` is false.
 */
const bloatStatement = `
SELECT i.relname::text AS index, i.oid::bigint AS oid,
  i.relpages::bigint * page.size AS bytes,
  GREATEST(0, i.relpages - 1 - ceil(i.reltuples * (12 + 8 * ceil(w.width / 8))
    / ((page.size - 40) * COALESCE((SELECT option_value::float8 FROM pg_options_to_table(i.reloptions)
                                    WHERE option_name = 'fillfactor'), 90) / 100)))::float8 * page.size AS empty_bytes,
  w.columns = x.indnatts AS known
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_am AS am ON am.oid = i.relam AND am.amname = 'btree'
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN (SELECT current_setting('block_size')::int AS size) AS page
CROSS JOIN LATERAL (
  SELECT COALESCE(sum((1 - s.null_frac) * s.avg_width), 0) AS width, count(*) AS columns
  FROM pg_attribute AS a
  JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
  WHERE a.attrelid = t.oid AND a.attnum = ANY (x.indkey) AND NOT s.inherited
) AS w
WHERE n.nspname = $1 AND x.indisvalid AND i.reltuples >= 0 AND i.relpages::bigint * page.size >= $2
ORDER BY empty_bytes DESC`;

type Row = { index: string; oid: number; bytes: number; empty_bytes: number; known: boolean };

type Bloated = Row & { measured: boolean };

/** The functions of pgstattuple, when the extension is there and this role may call them. */
async function measuringFunction(tx: Queryable): Promise<string | undefined> {
  const { rows } = await tx.query<{ name: string | null }>(
    `SELECT f.name::text AS name
     FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     CROSS JOIN LATERAL (
       SELECT to_regprocedure(quote_ident(n.nspname) || '.pgstatindex(regclass)')::regproc AS name) AS f
     WHERE e.extname = 'pgstattuple' AND has_function_privilege(f.name, 'EXECUTE')`,
  );
  return rows[0]?.name ?? undefined;
}

/** Room in the leaf pages beyond what they keep free on purpose, and pages that are unused. */
async function measure(tx: Queryable, name: string, row: Row): Promise<Bloated> {
  const { rows } = await tx.query<{ bytes: number; empty_bytes: number }>(
    `SELECT index_size AS bytes, GREATEST(0, index_size
       - leaf_pages * LEAST(1, avg_leaf_density / 90) * current_setting('block_size')::int)::float8 AS empty_bytes
     FROM ${name}($1::oid::regclass)`,
    [row.oid],
  );
  return { ...row, ...rows[0], measured: true };
}

/** A check with other limits than the usual; for tests. */
export function indexBloatCheck(limits: Partial<BloatLimits> = {}): Check {
  const { leastBytes, share } = { ...usualBloat, ...limits };
  const isBloated = ({ bytes, empty_bytes }: Row) => empty_bytes > share * bytes;
  return {
    id: 'index-bloat',
    title: 'Index bloat (estimate)',
    why: 'Entries of rows that went leave room in an index, which only keys of the same range fill again. Until then it is read, cached and backed up with the rest.',
    async run({ tx, capabilities }) {
      const known = await readBloat<Row>(tx, bloatStatement, capabilities.schema, leastBytes);
      if (!known) return noStatisticsSeen;
      const name = await measuringFunction(tx);
      const bloated: Bloated[] = [];
      let readBytes = 0;
      for (const row of known.filter(isBloated)) {
        readBytes += row.bytes;
        const mayMeasure = name !== undefined && readBytes <= mostReadBytes;
        const found = mayMeasure ? await measure(tx, name, row) : { ...row, measured: false };
        if (isBloated(found)) bloated.push(found);
      }
      const [first] = bloated;
      if (!first) return good(`No large B-tree index is more than ${formatShare(share)} empty.`);
      const lines = bloated.map(lineOf);
      return {
        severity: 'advice',
        evidence: `${counted(bloated.length, 'index', 'indexes')}: ${firstOf(lines, 2)}.`,
        items: lines,
        mend: 'Rebuild it; readers and writers go on meanwhile. r does it on the index pane.',
        command: `trace-console reindex ${first.index}`,
      };
    },
  };
}

function lineOf({ index, bytes, empty_bytes, measured }: Bloated): string {
  const share = formatShare(empty_bytes / bytes);
  const how = measured ? 'measured by pgstattuple' : 'estimated';
  return `${index}: about ${formatBytes(empty_bytes)} of ${formatBytes(bytes)} empty (${share}, ${how})`;
}

export const indexBloat = indexBloatCheck();
