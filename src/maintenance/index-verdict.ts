import type { Queryable } from '../db/queryable.js';
import { ConsoleError } from '../db/errors.js';
import { boundedText, lockedRelations, quoteIdent } from '../db/quote.js';
import type { Capabilities } from '../db/capabilities.js';
import { formatAge } from '../core/format/time.js';
import { isNamedAfter, leftoverPattern, replacementMark } from './reindex/rebuild-lock.js';
import { readIndexArrivals } from '../deploy/kept-sizes.js';

export type CounterSource = Pick<Capabilities, 'schema' | 'serverVersion' | 'keepsCounters'>;

/** Since when the statistics counters of this database count. */
export type CountersSince = {
  countersSince: Date;
  /** They were reset then. Without a reset a server may have counted for longer than it is up. */
  countersReset: boolean;
  /** Kept over restarts, as the embedded database's are. */
  countersKept: boolean;
};

const countersStatement = ({ keepsCounters }: Pick<CounterSource, 'keepsCounters'>): string => `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  stats_reset,
  ${keepsCounters ? '(SELECT min(since) FROM trace_console.index_counters)' : 'NULL::timestamptz'} AS kept_since,
  pg_postmaster_start_time() AS server_started
FROM pg_stat_database WHERE datname = current_database()`;

type CountersRow = {
  now_ms: number;
  stats_reset: Date | null;
  kept_since: Date | null;
  server_started: Date;
};

/** @throws ConsoleError */
export async function readCountersSince(
  tx: Queryable,
  source: Pick<CounterSource, 'keepsCounters'>,
): Promise<CountersSince & { nowMs: number }> {
  const [row] = (await tx.query<CountersRow>(countersStatement(source))).rows;
  if (!row) throw new ConsoleError('internal', 'The server keeps no counters of this database.');
  return {
    nowMs: row.now_ms,
    countersSince: row.kept_since ?? row.stats_reset ?? row.server_started,
    countersReset: row.stats_reset !== null,
    countersKept: source.keepsCounters,
  };
}

/** "counters are 3d old": how much a counter of zero says. */
export function countersSinceText(since: CountersSince, nowMs: number): string {
  const ageMs = nowMs - since.countersSince.getTime();
  if (ageMs < 1_000) return 'counters have just begun';
  const age = formatAge(ageMs);
  if (since.countersReset) return `counters were reset ${age} ago`;
  return `counters are ${since.countersKept ? '' : 'at least '}${age} old`;
}

export type IndexState = 'valid' | 'building' | 'invalid' | 'leftover';

/** What is known of an index and its use; sizes in bytes. */
export type IndexEvidence = IndexRow &
  IndexTraits & {
    state: IndexState;
    /** Since when its scans are counted. */
    countedSince: Date;
  };

export const mostIndexes = 500;

/**
 * What of the indexes changes seldom, and takes most of the time. Read again when an index is new, replaced or altered, and
 * once a minute: a comment, a foreign key or the statistics of a column change without a trace on the index.
 */
export class KnownTraits {
  #of = '';
  #readAtMs = 0;
  #byIndex: ReadonlyMap<number, IndexTraits> = new Map();

  async read(tx: Queryable, schema: string, rows: readonly IndexRow[], nowMs: number) {
    const of = rows.map(({ oid, version }) => `${oid} ${version}`).join();
    if (of === this.#of && Math.abs(nowMs - this.#readAtMs) < 60_000) return this.#byIndex;
    const oids = rows.map(({ oid }) => oid);
    const found = await tx.query<IndexTraits & { oid: number }>(traitsStatement, [schema, oids]);
    this.#byIndex = new Map(found.rows.map((row) => [row.oid, row]));
    [this.#of, this.#readAtMs] = [of, nowMs];
    return this.#byIndex;
  }
}

/**
 * What the verdict on each index is made of: the same for the pane, its detail and the doctor.
 *
 * @throws ConsoleError
 */
export async function readIndexes(
  tx: Queryable,
  source: CounterSource,
  known = new KnownTraits(),
): Promise<{ nowMs: number; since: CountersSince; rows: IndexEvidence[] }> {
  const [{ nowMs, ...since }, { rows }, arrivals] = await Promise.all([
    readCountersSince(tx, source),
    tx.query<IndexRow>(indexesStatement(source), [source.schema, mostIndexes]),
    readIndexArrivals(tx, source.schema),
  ]);
  const traits = await known.read(tx, source.schema, rows, nowMs);
  const evidence = rows.flatMap((row) => {
    const own = traits.get(row.oid);
    if (own === undefined) return []; // It was dropped meanwhile.
    const countedSince = latest(row.own_since ?? since.countersSince, arrivals.get(row.index));
    return [{ ...row, ...own, state: stateOf(row, rows), countedSince }];
  });
  return { nowMs, since, rows: evidence };
}

function latest(since: Date, arrival: Date | undefined): Date {
  return arrival && arrival > since ? arrival : since;
}

function stateOf(
  { building, valid, not_in_use, index, table }: IndexRow,
  all: readonly IndexRow[],
): IndexState {
  if (building) return 'building';
  if (valid && !not_in_use) return 'valid';
  // The clean-up checks more; this is only what can be seen from here.
  const beside = all.filter((other) => other.table === table);
  if (beside.some((other) => isNamedAfter(index, other.index))) {
    // The progress view names one of the two indexes, at first the old one.
    return beside.some((other) => other.building) ? 'building' : 'leftover';
  }
  return valid ? 'valid' : 'invalid';
}

/**
 * - `used`: a query has scanned it;
 * - `needed`: it enforces something, or supports a foreign key;
 * - `covered`: another index does all that it does;
 * - `unused`: no scan, and the counters are old enough to say so;
 * - `early`: no scan, and they are not;
 * - `small`: no scan, but it costs next to nothing, or its table is almost empty;
 * - `broken`: no query can use it; being built, invalid, or left over.
 */
export type VerdictId = 'used' | 'needed' | 'covered' | 'unused' | 'early' | 'small' | 'broken';

export type IndexVerdict = { id: VerdictId; text: string };

export type VerdictLimits = {
  /** Counters younger than this tell little about what is needed once a week. */
  leastAgeMs: number;
  /** Smaller ones cost the writers little. */
  leastBytes: number;
  /** Indexes of tables with fewer rows are not judged: a vector index takes megabytes even on an empty table. */
  leastRows: number;
};

export const usualVerdictLimits: VerdictLimits = {
  leastAgeMs: 7 * 86_400_000,
  leastBytes: 1_048_576,
  leastRows: 1_000,
};

type VerdictContext = {
  nowMs: number;
  since: CountersSince;
  /** The other index that does all that this one does. */
  covered?: Covered | undefined;
  limits?: VerdictLimits;
};

/** The one verdict on an index. */
export function verdictOf(
  row: IndexEvidence,
  { nowMs, since, covered, limits = usualVerdictLimits }: VerdictContext,
): IndexVerdict {
  if (row.state !== 'valid') return { id: 'broken', text: row.state };
  if (covered) return { id: 'covered', text: coveredText(covered) };
  if (row.scans > 0) return { id: 'used', text: 'used' };
  const need = needOf(row);
  if (need !== undefined) return { id: 'needed', text: need };
  const ageMs = nowMs - row.countedSince.getTime();
  if (ageMs < limits.leastAgeMs) return { id: 'early', text: tooEarlyText(ageMs, limits) };
  const rows = Math.max(row.table_rows ?? 0, row.live_rows ?? 0);
  if (rows < limits.leastRows) {
    return { id: 'small', text: 'no scan; its table is almost empty' };
  }
  if ((row.bytes ?? 0) < limits.leastBytes) return { id: 'small', text: 'no scan; small' };
  const longer = since.countersReset || since.countersKept ? '' : ' or longer';
  return { id: 'unused', text: `unused for ${formatAge(ageMs)}${longer}` };
}

function needOf(row: IndexEvidence): string | undefined {
  if (row.is_primary) return 'no scan; needed: primary key';
  if (row.is_unique) return 'no scan; needed: keeps values unique';
  if (row.is_exclusion) return 'no scan; needed: exclusion constraint';
  if (row.foreign_key !== null) return `no scan; needed: foreign key ${row.foreign_key}`;
  return undefined;
}

/** As {@link tooEarlyText}, for a column: `too early: 4m of 7d`. */
export function earlyText(ageMs: number, { leastAgeMs } = usualVerdictLimits): string {
  return `too early: ${formatAge(ageMs)} of ${formatAge(leastAgeMs)}`;
}

export function tooEarlyText(ageMs: number, { leastAgeMs } = usualVerdictLimits): string {
  return `too early to say: counters are ${formatAge(ageMs)} old, ${formatAge(leastAgeMs)} are needed`;
}

/** Readers and writers go on; the statement cannot run in a transaction. */
export function dropStatement(schema: string, index: string): string {
  return `DROP INDEX CONCURRENTLY ${quoteIdent(schema, index)};`;
}

/**
 * Pairs of which the first is not needed beside the second: the same key over the same rows
 * (`duplicate`), or a btree whose key is the beginning of the other's (`redundant`). A unique one is
 * needed for what it enforces; of two equal ones the younger goes.
 */
const coveredStatement = `
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

export type Covered = {
  index: string;
  table: string;
  bytes: number;
  beside: string;
  duplicate: boolean;
};

export async function readCovered(tx: Queryable, schema: string): Promise<Covered[]> {
  return (await tx.query<Covered>(coveredStatement, [schema])).rows;
}

export function coveredText({ duplicate, beside }: Covered): string {
  return `${duplicate ? 'is a duplicate of' : 'is the beginning of'} ${beside}`;
}

/**
 * Every index of the schema `$1` with its use, size and state; `$2`: how many at most, the largest by the
 * catalogue first. 1.2 ms with 70 indexes, a third of it planning.
 *
 * pg_relation_size waits behind ACCESS EXCLUSIVE on the index (REINDEX, DROP). An index that is so locked, or
 * queued for it, is not measured but named with the process that holds the lock; everything else here comes
 * from catalogues and shared memory, which wait for nobody. (Locked between the look and the measuring: the
 * reader asks again.)
 *
 * The counters come from the functions behind pg_stat_user_indexes: the view would join the catalogue twice more; and
 * comments from pg_description, for obj_description starts a statement of its own for each index. The time of the last scan
 * exists from PostgreSQL 16 on. `ids_since_table` tells how full the table was when the index was last built: file ids are
 * drawn from the same counter as the ids of out-of-line values, and every embedding of 1536 dimensions is one, so no more
 * embeddings than that had been stored.
 */
function indexesStatement({ serverVersion, keepsCounters }: CounterSource): string {
  const lastScan =
    serverVersion >= 160_000 ? 'pg_stat_get_lastscan(chosen.indexrelid)' : 'NULL::timestamptz';
  return `
WITH chosen AS MATERIALIZED (
  SELECT
    i.indexrelid, i.indisvalid, i.indisready, i.indisunique, i.indisprimary, i.indisexclusion,
    c.relname, c.relpages, c.reltuples, c.relfilenode, c.reloptions, i.xmin AS defined_by, c.xmin AS altered_by,
    t.relname AS table_name, t.reltuples AS table_tuples, t.oid AS table_oid
  FROM pg_class AS t
  JOIN pg_index AS i ON i.indrelid = t.oid
  JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
  WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND t.relkind IN ('r', 'm')
  ORDER BY c.relpages DESC
  LIMIT $2
), ${lockedRelations}, building AS MATERIALIZED (
  SELECT index_relid FROM pg_stat_progress_create_index WHERE datname = current_database()
)
SELECT
  chosen.relname::text AS index,
  chosen.table_name::text AS table,
  chosen.indexrelid::bigint AS oid,
  chosen.defined_by::text || ' ' || chosen.altered_by::text AS version,
  chosen.indisprimary AS is_primary,
  chosen.indisunique AS is_unique,
  chosen.indisexclusion AS is_exclusion,
  ${
    keepsCounters
      ? 'NULL::bigint'
      : `pg_stat_get_tuples_inserted(chosen.table_oid) + pg_stat_get_tuples_updated(chosen.table_oid)
    - pg_stat_get_tuples_hot_updated(chosen.table_oid)`
  } AS writes,
  ${keepsCounters ? 'counters.since' : 'NULL::timestamptz'} AS own_since,
  ${keepsCounters ? 'counters.scans' : 'pg_stat_get_numscans(chosen.indexrelid)'} AS scans,
  ${keepsCounters ? 'counters.last_scan' : lastScan} AS last_scan,
  locked.pid AS locked_by,
  CASE WHEN locked.pid IS NULL THEN pg_relation_size(chosen.indexrelid) END AS bytes,
  building.index_relid IS NOT NULL AS building,
  chosen.indisvalid AND chosen.indisready AS valid,
  -- A rebuild of the console's own that did not finish leaves a valid index, with its mark.
  chosen.relname ~ '${leftoverPattern}' AND EXISTS (
    SELECT FROM pg_description AS d WHERE d.objoid = chosen.indexrelid AND d.classoid = 'pg_class'::regclass
      AND d.objsubid = 0 AND starts_with(d.description, '${replacementMark}')) AS not_in_use,
  (SELECT option_value::int FROM pg_options_to_table(chosen.reloptions)
   WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$') AS lists,
  chosen.reltuples::float8 AS index_rows,
  CASE WHEN chosen.table_tuples < 0 THEN NULL ELSE chosen.table_tuples::float8 END AS table_rows,
  pg_stat_get_live_tuples(chosen.table_oid) AS live_rows,
  chosen.relfilenode::bigint - chosen.table_oid::bigint AS ids_since_table
FROM chosen
LEFT JOIN locked ON locked.relation = chosen.indexrelid
LEFT JOIN building ON building.index_relid = chosen.indexrelid
${keepsCounters ? 'LEFT JOIN trace_console.index_counters AS counters ON counters.index_oid = chosen.indexrelid' : ''}`;
}

/** `$1`: the schema, `$2`: the indexes' oids. */
const traitsStatement = `
SELECT
  i.indexrelid::bigint AS oid,
  am.amname::text AS method,
  -- A cascade is rare, and slow without an index.
  (SELECT f.conname::text FROM pg_constraint AS f
   WHERE f.contype = 'f' AND f.conrelid = i.indrelid AND f.conkey[1] = i.indkey[0]
   ORDER BY f.conname LIMIT 1) AS foreign_key,
  ${boundedText('d.description', 300)} AS serves,
  -- Rows without an embedding are not in its index.
  CASE am.amname WHEN 'ivfflat' THEN (
    SELECT s.null_frac::float8 FROM pg_attribute AS a
    JOIN pg_stats AS s ON s.schemaname = $1 AND s.tablename = t.relname
      AND s.attname = a.attname AND NOT s.inherited
    WHERE a.attrelid = i.indexrelid AND a.attnum = 1) END AS share_without
FROM pg_index AS i
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_description AS d ON d.objoid = i.indexrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE i.indexrelid = ANY ($2::oid[])`;

export type IndexTraits = {
  method: string;
  /** A foreign key that it supports. */
  foreign_key: string | null;
  /** Its comment: which question it answers. */
  serves: string | null;
  share_without: number | null;
};

type IndexRow = {
  index: string;
  table: string;
  oid: number;
  /** Another one when its definition has changed. */
  version: string;
  is_primary: boolean;
  is_unique: boolean;
  is_exclusion: boolean;
  /** Entries written since the counters began, at most: a partial index gets fewer. */
  writes: number | null;
  /** Where each index has counters of its own age. */
  own_since: Date | null;
  scans: number;
  last_scan: Date | null;
  locked_by: number | null;
  bytes: number | null;
  building: boolean;
  valid: boolean;
  not_in_use: boolean;
  lists: number | null;
  index_rows: number;
  table_rows: number | null;
  live_rows: number | null;
  ids_since_table: number;
};
