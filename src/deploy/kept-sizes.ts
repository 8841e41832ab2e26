import { hasRowsOnWorkers } from '../db/capabilities.js';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { hasConsoleTable, openConsoleTable } from './console-schema.js';

const table = 'relation_sizes';

/** Two snapshots are further apart than this, so that the growth between them is not that of an hour. */
const leastHours = 20;
const keptDays = 100;

/** Growth is told from the snapshots of so many days. */
const growthDays = 30;

const dueStatement = `
SELECT NOT EXISTS (
  SELECT FROM trace_console.relation_sizes
  WHERE target_schema = $1 AND taken_at > now() - interval '${leastHours} hours') AS due,
  has_table_privilege('trace_console.relation_sizes', 'DELETE') AS may_delete`;

/** The 200 largest tables and the 500 largest indexes, as the panes list them. Waits behind ACCESS EXCLUSIVE. */
const takeStatement = `
INSERT INTO trace_console.relation_sizes (target_schema, relation, kind, taken_on, taken_at, bytes)
SELECT $1::name, relname, kind, (now() AT TIME ZONE 'UTC')::date, now(),
  CASE kind WHEN 'r' THEN pg_total_relation_size(oid) ELSE pg_relation_size(oid) END
FROM (
  SELECT oid, relname, CASE relkind WHEN 'i' THEN 'i' ELSE 'r' END::"char" AS kind,
    row_number() OVER (PARTITION BY relkind = 'i' ORDER BY relpages DESC, relname) AS place
  FROM pg_class
  WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'm', 'i')
) AS relations
WHERE place <= CASE kind WHEN 'r' THEN 200 ELSE 500 END
ON CONFLICT DO NOTHING`;

/**
 * Keeps the sizes of today, once a day and schema: whoever is open and may write does it. A database without the
 * console's own schema is left as it is: looking at it creates nothing.
 *
 * @returns whether sizes were kept now
 * @throws ConsoleError
 */
export async function keepSizes(database: Database): Promise<boolean> {
  const { schema, standby } = database.capabilities;
  if (database.readOnly || standby) return false;
  if (hasRowsOnWorkers(database.capabilities)) return false;
  return database.transaction({ statementTimeoutMs: 10_000, lockTimeoutMs: 1_000 }, async (tx) => {
    if (!(await hasConsoleTable(tx, 'schema_files'))) return false;
    if (!(await openConsoleTable(tx, table))) return false;
    const { rows } = await tx.query<{ due: boolean; may_delete: boolean }>(dueStatement, [schema]);
    if (!rows[0]?.due) return false;
    await tx.query(takeStatement, [schema]);
    if (rows[0].may_delete) {
      await tx.query(
        `DELETE FROM trace_console.relation_sizes
         WHERE target_schema = $1 AND taken_at < now() - interval '${keptDays} days'`,
        [schema],
      );
    }
    return true;
  });
}

/** How fast something grows, by the first and the last of its kept sizes. */
export type Growth = {
  bytesPerDay: number;
  /** Between the two. */
  spanMs: number;
};

export type KeptGrowth = {
  /** Days whose sizes are kept, of the last 30; growth is known from two on. */
  days: number;
  /** Of all tables together. */
  total: Growth | undefined;
  tables: ReadonlyMap<string, Growth>;
};

const growthStatement = `
WITH kept AS MATERIALIZED (
  SELECT relation, taken_on, taken_at, bytes FROM trace_console.relation_sizes
  WHERE target_schema = $1 AND kind = 'r' AND taken_at > now() - interval '${growthDays} days'
), days AS (
  SELECT NULL::name AS relation, taken_on, min(taken_at) AS taken_at, sum(bytes) AS bytes FROM kept GROUP BY taken_on
)
SELECT relation::text AS relation, count(*) AS days,
  1000 * date_part('epoch', max(taken_at) - min(taken_at)) AS span_ms,
  ((array_agg(bytes ORDER BY taken_at DESC))[1] - (array_agg(bytes ORDER BY taken_at))[1])::float8 AS bytes
FROM (SELECT * FROM days UNION ALL SELECT * FROM kept) AS sizes
GROUP BY relation`;

type GrowthRow = { relation: string | null; days: number; span_ms: number; bytes: number };

const dayMs = 86_400_000;

/** Undefined where no sizes are kept, or the role may not read them. */
export async function readGrowth(tx: Queryable, schema: string): Promise<KeptGrowth | undefined> {
  if (!(await hasConsoleTable(tx, table))) return undefined;
  const { rows } = await tx.query<GrowthRow>(growthStatement, [schema]);
  const all = rows.find(({ relation }) => relation === null);
  if (!all) return undefined;
  return {
    days: all.days,
    total: growthOf(all),
    tables: new Map(
      rows.flatMap((row) => {
        const growth = growthOf(row);
        return row.relation === null || !growth ? [] : [[row.relation, growth]];
      }),
    ),
  };
}

function growthOf({ days, span_ms: spanMs, bytes }: GrowthRow): Growth | undefined {
  return days < 2 ? undefined : { bytesPerDay: (bytes * dayMs) / spanMs, spanMs };
}

/** When each index came that was not there on the first kept day: its counters are no older than that. */
export async function readIndexArrivals(
  tx: Queryable,
  schema: string,
): Promise<ReadonlyMap<string, Date>> {
  if (!(await hasConsoleTable(tx, table))) return new Map();
  const { rows } = await tx.query<{ relation: string; at: Date }>(
    `SELECT relation::text AS relation, min(taken_at) AS at FROM trace_console.relation_sizes
     WHERE target_schema = $1 AND kind = 'i' GROUP BY relation
     HAVING min(taken_on) > (SELECT min(taken_on) FROM trace_console.relation_sizes WHERE target_schema = $1)`,
    [schema],
  );
  return new Map(rows.map(({ relation, at }) => [relation, at]));
}
