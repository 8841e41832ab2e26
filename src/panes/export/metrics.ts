import type { Metric, Sample } from '../../core/format/open-metrics.js';
import { archivedTables, archiveOf, coreTables } from '../../core/tables.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { ConsoleError } from '../../db/errors.js';
import { collectorOf, readStatus } from '../../ingest/collector/status-file.js';
import { backlogOf } from '../../ingest/spool/reader.js';
import { readPolicy, recommendedPolicy } from '../../maintenance/retention/policy.js';
import { columnOrNull, hasColumn, readShape } from '../contract/shape.js';
import {
  durationFamilies,
  durations,
  gauge,
  limits,
  namedLabels,
  otherLabel,
  type MetricsContext,
  type MetricsRequest,
} from './duration-metrics.js';
import { shardSizesStatement, type ShardSizeRow } from '../reading/tables.js';
import { defaultStuckAfterMs } from '../reading/windows.js';

/** Traces that wait for the archive are counted up to here. */
const mostDue = 100_000;

/**
 * What the panes know, as metrics. What cannot be read is left out, and counted in `trace_console_scrape_errors`.
 *
 * @throws ConsoleError when the database is away
 */
export async function readMetrics(database: Database, request: MetricsRequest): Promise<Metric[]> {
  const context = { ...request, database, shape: await readShape(database) };
  const metrics: Metric[] = [];
  let errors = 0;
  for (const family of families) {
    try {
      metrics.push(...(await family(context)));
    } catch (error) {
      if (!(error instanceof ConsoleError) || error.exitCode === 3) throw error;
      errors += 1;
    }
  }
  metrics.push(
    gauge(
      'trace_console_window_seconds',
      'The window that durations, tokens and costs are of.',
      [{ labels: {}, value: request.windowMs / 1_000 }],
      'seconds',
    ),
    gauge('trace_console_scrape_errors', 'Groups of metrics that could not be read.', [
      { labels: {}, value: errors },
    ]),
  );
  return metrics.filter(({ samples }) => samples.length > 0);
}

const families: readonly ((context: MetricsContext) => Promise<Metric[]>)[] = [
  traceStates,
  ...durationFamilies.map((of) => (context: MetricsContext) => durations(context, of)),
  modelUsage,
  sizes,
  retention,
  (context) => Promise.resolve(spool(context)),
];

async function traceStates({ database, shape }: MetricsContext): Promise<Metric[]> {
  const needed = ['status', 'started_at'];
  if (!needed.every((column) => hasColumn(shape, 'execution_traces', column))) return [];
  // Each by its own index: one statement for all would read the table as a whole.
  const rows = await database.read<{ status: string; count: number }>(
    `SELECT left(status, 120) AS status, count(*)::float8 AS count
     FROM execution_traces GROUP BY 1 ORDER BY 1 LIMIT ${namedLabels}`,
    [],
    limits,
  );
  const [ages] = await database.read<{ stuck: number; oldest: number | null }>(
    `SELECT (SELECT count(*) FROM execution_traces
        WHERE status = 'in_progress' AND started_at < now() - $1::float8 * interval '1 ms')::float8 AS stuck,
       extract(epoch FROM now() - (SELECT min(started_at) FROM execution_traces WHERE isfinite(started_at)))::float8 AS oldest`,
    [defaultStuckAfterMs],
    limits,
  );
  const oldest = ages?.oldest ?? undefined;
  return [
    gauge(
      'trace_console_traces',
      'Traces in the live tables.',
      rows.map(({ status, count }) => ({ labels: { status }, value: count })),
    ),
    gauge('trace_console_stuck_traces', 'Traces in progress for longer than 30 minutes.', [
      { labels: {}, value: ages?.stuck ?? 0 },
    ]),
    gauge(
      'trace_console_oldest_trace_age_seconds',
      'Since the oldest trace in the live tables began.',
      oldest === undefined ? [] : [{ labels: {}, value: oldest }],
      'seconds',
    ),
  ];
}

const tokenTypes = ['input', 'output', 'cache_read', 'cache_creation'] as const;

async function modelUsage({ database, shape, windowMs }: MetricsContext): Promise<Metric[]> {
  const trace = 'execution_traces';
  if (!hasColumn(shape, trace, 'model')) return [];
  const sums = tokenTypes.map(
    (type) =>
      `COALESCE(sum(${columnOrNull(shape, trace, `${type}_tokens`, 'bigint')}), 0)::float8 AS ${type}`,
  );
  type Usage = Record<(typeof tokenTypes)[number] | 'cost', number>;
  const rows = await database.read<Usage & { model: string }>(
    `WITH m AS (
       SELECT left(model, 120) AS model, count(*) AS traces, ${sums.join(', ')},
         COALESCE(sum(${columnOrNull(shape, trace, 'cost_usd', 'numeric')}), 0)::float8 AS cost
       FROM execution_traces
       WHERE started_at >= now() - $1::float8 * interval '1 ms' AND started_at <= now() AND model IS NOT NULL
       GROUP BY 1),
     named AS (SELECT model FROM m ORDER BY traces DESC, model LIMIT ${namedLabels})
     SELECT COALESCE(named.model, $2) AS model, ${[...tokenTypes, 'cost'].map((name) => `sum(m.${name}) AS ${name}`).join(', ')}
     FROM m LEFT JOIN named USING (model) GROUP BY 1 ORDER BY 1`,
    [windowMs, otherLabel],
    limits,
  );
  return [
    gauge(
      'trace_console_tokens',
      'Tokens of traces that began within the window; input is uncached input.',
      rows.flatMap((row) =>
        tokenTypes.map((type) => ({ labels: { model: row.model, type }, value: row[type] })),
      ),
    ),
    gauge(
      'trace_console_cost_usd',
      'US dollars of traces that began within the window, as far as prices are known.',
      rows.map(({ model, cost }) => ({ labels: { model }, value: cost })),
    ),
  ];
}

const tableSize = ['trace_console_table_size_bytes', 'Tables with their indexes.'] as const;

async function sizes({ database, shape }: MetricsContext): Promise<Metric[]> {
  // This server has empty shells of such tables and of their indexes; of the shards only the size is known.
  if (shape.onWorkers.size > 0) {
    const shards = await database.read<ShardSizeRow>(shardSizesStatement, [shape.schema], limits);
    const values = shards.map(({ table, bytes }) => ({ labels: { table }, value: bytes }));
    return [gauge(...tableSize, values, 'bytes')];
  }
  const names = [...coreTables, ...archivedTables.map(archiveOf)];
  const tables = await database.read<{
    table: string;
    bytes: number;
    rows: number;
    dead: number | null;
  }>(
    // A partitioned table is its partitions.
    `SELECT c.relname::text AS table, sum(pg_total_relation_size(one.oid))::float8 AS bytes,
       sum(greatest(one.reltuples, 0))::float8 AS rows, sum(s.n_dead_tup)::float8 AS dead
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     JOIN pg_class AS one ON CASE c.relkind WHEN 'p'
       THEN one.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf) ELSE one.oid = c.oid END
     LEFT JOIN pg_stat_user_tables AS s ON s.relid = one.oid
     WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') GROUP BY 1 ORDER BY 1`,
    [shape.schema, names],
    limits,
  );
  const indexes = await database.read<{
    index: string;
    table: string;
    bytes: number;
    scans: number;
  }>(
    `SELECT i.relname::text AS index, c.relname::text AS table, one.bytes::float8 AS bytes, one.scans::float8 AS scans
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid
     JOIN pg_namespace AS n ON n.oid = c.relnamespace, LATERAL (
       SELECT sum(pg_relation_size(oid)) AS bytes, sum(COALESCE(pg_stat_get_numscans(oid), 0)) AS scans
       FROM (SELECT i.oid WHERE i.relkind = 'i'
         UNION ALL SELECT relid FROM pg_partition_tree(i.oid) WHERE isleaf AND i.relkind = 'I') AS part (oid)
     ) AS one
     WHERE n.nspname = $1 AND c.relname = ANY ($2) ORDER BY 1 LIMIT 200`,
    [shape.schema, names],
    limits,
  );
  const byTable = (value: (row: (typeof tables)[number]) => number) =>
    tables.map((row) => ({ labels: { table: row.table }, value: value(row) }));
  const labelsOf = ({ index, table }: (typeof indexes)[number]) => ({ index, table });
  return [
    gauge(
      ...tableSize,
      byTable(({ bytes }) => bytes),
      'bytes',
    ),
    gauge(
      'trace_console_table_rows',
      'Rows, as the planner estimates.',
      byTable(({ rows }) => rows),
    ),
    gauge(
      'trace_console_table_dead_rows',
      'Rows that VACUUM would reclaim.',
      byTable(({ dead }) => dead ?? 0),
    ),
    gauge(
      'trace_console_index_size_bytes',
      'Indexes.',
      indexes.map((row) => ({ labels: labelsOf(row), value: row.bytes })),
      'bytes',
    ),
    {
      name: 'trace_console_index_scans',
      help: 'How often an index was used since the counters began.',
      type: 'counter',
      samples: indexes.map((row) => ({ labels: labelsOf(row), value: row.scans })),
    },
  ];
}

async function retention({ database, shape }: MetricsContext): Promise<Metric[]> {
  const read = async (tx: Queryable) => {
    const policy = await readPolicy(tx, shape.schema);
    const { archiveAfter } = policy ?? recommendedPolicy;
    if (archiveAfter === null) return undefined;
    const { rows } = await tx.query<{ due: number; after: number }>(
      `SELECT count(*)::float8 AS due, extract(epoch FROM $1::interval)::float8 AS after FROM (
         SELECT FROM execution_traces WHERE started_at < now() - $1::interval LIMIT ${mostDue}) AS due`,
      [archiveAfter],
    );
    const [row] = rows;
    return { isStored: policy !== undefined, due: row?.due ?? 0, after: row?.after ?? 0 };
  };
  const found = await database.transaction({ ...limits, readOnly: true }, read);
  if (found === undefined) return [];
  const { isStored, due, after } = found;
  const policy = isStored ? 'stored' : 'recommended';
  return [
    gauge(
      'trace_console_retention_archive_after_seconds',
      'The age at which a trace is due for the archive.',
      [{ labels: { policy }, value: after }],
      'seconds',
    ),
    gauge(
      'trace_console_retention_due_traces',
      `Traces that are due for the archive (${mostDue} at most).`,
      [{ labels: { policy }, value: due }],
    ),
  ];
}

function spool({ spool: folder }: MetricsContext): Metric[] {
  if (folder === undefined) return [];
  const status = readStatus(folder);
  const { bytes, segments, dropped } = backlogOf(
    folder,
    new Map(Object.entries(status?.offsets ?? {})),
  );
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const quarantined: Metric = {
    name: 'trace_console_collector_quarantined_events',
    help: 'Events that the collector put aside since it started.',
    type: 'counter',
    samples: one(status?.quarantined ?? 0),
  };
  return [
    gauge('trace_console_spool_size_bytes', 'What waits in the spool.', one(bytes), 'bytes'),
    gauge(
      'trace_console_spool_segments',
      'Files of the spool that are not read to their end.',
      one(segments),
    ),
    {
      name: 'trace_console_spool_dropped_events',
      help: 'Events that were refused because the spool was full.',
      type: 'counter',
      samples: one(dropped),
    },
    gauge(
      'trace_console_collector_up',
      'Whether a collector reads the spool.',
      one(collectorOf(folder) ? 1 : 0),
    ),
    ...(status === undefined ? [] : [quarantined]),
  ];
}
