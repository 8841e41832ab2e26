import { quoteIdent, shellWord } from '../../../db/quote.js';
import { counted, formatBytes, formatShare } from '../../../core/format/number.js';
import { rebuiltInConsole } from '../../reindex/rebuild-lock.js';
import { firstOf, good, type Check, skipped } from '../check.js';
import type { Queryable } from '../../../db/queryable.js';

type BloatLimits = { leastBytes: number; share: number };

/** Below 64 MB bloat is not worth a thought, and what churns is a third empty at any time. */
const usualBloat: BloatLimits = { leastBytes: 64 * 1_048_576, share: 0.5 };

const noStatisticsSeen = skipped(
  'the role sees no statistics of the tables: it needs SELECT on them',
);

/**
 * What of a schema is at least so large, with the estimate of what is empty of it.
 *
 * @param statement takes the schema and the least bytes; its `known` is false where the role sees no statistics
 * @returns undefined when it sees those of none
 */
async function readBloat<Row extends { known: boolean }>(
  tx: Queryable,
  statement: string,
  schema: string,
  leastBytes: number,
): Promise<Row[] | undefined> {
  const { rows } = await tx.query<Row>(statement, [schema, leastBytes]);
  const known = rows.filter((row) => row.known);
  return rows.length > 0 && known.length === 0 ? undefined : known;
}

/**
 * What the rows would take by the planner's statistics (average width of each column, 24 bytes of header
 * and 4 of pointer a row, fillfactor) against the pages there are. An estimate, within about a fifth;
 * pgstattuple would read the whole table. A table whose columns the role may not read has no statistics
 * to see: `known` is false.
 */
const tableBloatStatement = `
SELECT t.relname::text AS table, t.relpages::bigint * current_setting('block_size')::int AS bytes,
  GREATEST(0, t.relpages - ceil(t.reltuples * (28 + w.width)
    / ((current_setting('block_size')::int - 24)
       * COALESCE((SELECT option_value::float8 FROM pg_options_to_table(t.reloptions)
                   WHERE option_name = 'fillfactor'), 100) / 100)))::float8
    * current_setting('block_size')::int AS empty_bytes,
  w.columns > 0 AS known
FROM pg_class AS t
JOIN pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
  SELECT COALESCE(sum((1 - s.null_frac) * s.avg_width), 0) AS width, count(*) AS columns
  FROM pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = t.relname AND NOT s.inherited
) AS w
WHERE n.nspname = $1 AND t.relkind IN ('r', 'm') AND t.reltuples >= 0
  AND t.relpages::bigint * current_setting('block_size')::int >= $2
ORDER BY empty_bytes DESC`;

type TableRow = { table: string; bytes: number; empty_bytes: number; known: boolean };

/** A check with other limits than the usual; for tests. */
export function bloatCheck(limits: Partial<BloatLimits> = {}): Check {
  const { leastBytes, share } = { ...usualBloat, ...limits };
  return {
    id: 'bloat',
    ofOwnRows: true,
    title: 'Bloat (estimate)',
    why: 'Rows that were deleted or changed leave room inside the table. New rows fill it again, but until then it is read, cached and backed up with the rest.',
    async run({ tx, capabilities }) {
      const known = await readBloat<TableRow>(
        tx,
        tableBloatStatement,
        capabilities.schema,
        leastBytes,
      );
      if (!known) return noStatisticsSeen;
      const bloated = known.filter(({ bytes, empty_bytes }) => empty_bytes > share * bytes);
      const [first] = bloated;
      if (!first) return good(`No large table is more than ${formatShare(share)} empty.`);
      const lines = bloated.map(
        ({ table, bytes, empty_bytes }) =>
          `${table}: about ${formatBytes(empty_bytes)} of ${formatBytes(bytes)} empty (${formatShare(empty_bytes / bytes)})`,
      );
      return {
        severity: 'advice',
        evidence: `${counted(bloated.length, 'table')}: ${firstOf(lines, 2)}.`,
        items: lines,
        fix: 'New rows will fill it; nothing need be done where the table keeps growing. To give it back: pg_repack, or VACUUM FULL, which locks readers and writers out until it is done.',
        command: `VACUUM (FULL, ANALYZE) ${quoteIdent(capabilities.schema, first.table)};`,
      };
    },
  };
}

export const bloat = bloatCheck();

/** pgstattuple reads the whole index: one that is larger is left at its estimate. */
const mostReadBytes = 256 * 1_048_576;

/**
 * What the entries of a B-tree would take by the planner's statistics (average width of each key, 8 bytes of header and
 * 4 of pointer an entry, pages filled to the fillfactor) against the pages there are. Equal keys share
 * entries, which makes an index smaller than that: then the estimate is too low, never too high. An index over an
 * expression, or over columns that the role may not read, has no statistics to see: `known` is false.
 */
const indexBloatStatement = `
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

type IndexRow = { index: string; oid: number; bytes: number; empty_bytes: number; known: boolean };

type Bloated = IndexRow & { measured: boolean };

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
async function measure(tx: Queryable, name: string, row: IndexRow): Promise<Bloated> {
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
  const isBloated = ({ bytes, empty_bytes }: IndexRow) => empty_bytes > share * bytes;
  return {
    id: 'index-bloat',
    ofOwnRows: true,
    title: 'Index bloat (estimate)',
    why: 'Entries of rows that went leave room in an index, which only keys of the same range fill again. Until then it is read, cached and backed up with the rest.',
    async run({ tx, capabilities }) {
      const known = await readBloat<IndexRow>(
        tx,
        indexBloatStatement,
        capabilities.schema,
        leastBytes,
      );
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
        fix: 'Rebuild it; readers and writers go on meanwhile.',
        inConsole: rebuiltInConsole,
        command: `trace-console reindex ${shellWord(first.index)}`,
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
