import type { Database } from '../../db/database.js';

/** What must be known of an index before it is rebuilt. */
export type IndexState = {
  schema: string;
  table: string;
  bytes: number;
  valid: boolean;
  owned: boolean;
  /** An exclusion constraint's index cannot be rebuilt CONCURRENTLY. */
  exclusion: boolean;
  accessMethod: string;
  tableRows: number;
  /** Leftovers of earlier builds of this index, by name. */
  leftovers: string[];
};

/** `_ccnew` and `_ccold` with a number: what an interrupted concurrent rebuild leaves behind. */
export const leftoverPattern = String.raw`_cc(new|old)\d*$`;

/** The state of an index of the target schema; undefined when there is none of that name. */
export async function readIndexState(
  database: Database,
  index: string,
): Promise<IndexState | undefined> {
  const [state] = await database.read<IndexState>(
    `SELECT n.nspname::text AS schema, t.relname::text AS table,
       pg_relation_size(i.oid) AS bytes, x.indisvalid AS valid,
       pg_has_role(current_user, i.relowner, 'USAGE') AS owned,
       x.indisexclusion AS exclusion, am.amname::text AS "accessMethod",
       GREATEST(t.reltuples, 0)::bigint AS "tableRows",
       ARRAY(
         SELECT other.relname::text FROM pg_index AS y JOIN pg_class AS other ON other.oid = y.indexrelid
         WHERE y.indrelid = x.indrelid AND NOT y.indisvalid AND other.relname ~ $3
           -- A name too long for the suffix is cut.
           AND (regexp_replace(other.relname, $3, '') = i.relname OR (octet_length(other.relname) = 63
             AND starts_with(i.relname, regexp_replace(other.relname, $3, ''))))
         ORDER BY other.relname
       ) AS leftovers
     FROM pg_class AS i
     JOIN pg_index AS x ON x.indexrelid = i.oid
     JOIN pg_class AS t ON t.oid = x.indrelid
     JOIN pg_am AS am ON am.oid = i.relam
     JOIN pg_namespace AS n ON n.oid = i.relnamespace
     WHERE n.nspname = $1 AND i.relname = $2`,
    [database.capabilities.schema, index, leftoverPattern],
  );
  return state;
}

/** A transaction that a concurrent build has to wait for. */
export type LongTransaction = { pid: number; user: string; seconds: number; query: string };

/** Transactions older than a minute, oldest first. Queries of others need pg_read_all_stats. */
export function readLongTransactions(database: Database): Promise<LongTransaction[]> {
  return database.read<LongTransaction>(
    `SELECT pid, usename::text AS user, extract(epoch FROM now() - xact_start)::bigint AS seconds,
       left(query, 200) AS query
     FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < now() - interval '1 minute'
       AND pid <> pg_backend_pid()
     ORDER BY xact_start LIMIT 3`,
  );
}
