import { parseExactJson } from '../../core/exact-json.js';
import type { Queryable } from '../../db/queryable.js';
import { openConsoleTable } from '../../deploy/console-schema.js';
import { ConsoleError } from '../../db/errors.js';
import { ToolPairs, type StoredPairs } from '../sources/hook-payload.js';
import type { SpoolOffsets } from '../spool/reader.js';
import type { SpoolRecord } from '../spool/frame.js';

/** Which rows of the collector's tables are meant. */
export type SpoolKey = { schema: string; spool: string };

/** @throws ConsoleError `privilege_missing` */
export async function openCollectorTables(tx: Queryable): Promise<void> {
  for (const name of ['spool_offsets', 'spool_sources', 'spool_pairs', 'quarantined_events']) {
    if (await openConsoleTable(tx, name)) continue;
    throw new ConsoleError('privilege_missing', `The role may not write trace_console.${name}.`, {
      hint: 'The collector keeps there how far it has read. Let a role that may create schemas run "trace-console collect" once, or GRANT it.',
    });
  }
}

export async function readOffsets(
  tx: Queryable,
  { schema, spool }: SpoolKey,
): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ segment: string; read_bytes: number }>(
    `SELECT segment, read_bytes FROM trace_console.spool_offsets
     WHERE target_schema = $1 AND spool = $2`,
    [schema, spool],
  );
  return new Map(rows.map(({ segment, read_bytes: bytes }) => [segment, bytes]));
}

/** Two collectors of one spool take turns, until the transaction ends. */
export async function lockSpool(tx: Queryable, { schema, spool }: SpoolKey): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [
    `trace_console.spool:${schema}:${spool}`,
  ]);
}

export async function moveOffsets(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  moved: SpoolOffsets,
): Promise<void> {
  await tx.query(
    `INSERT INTO trace_console.spool_offsets (target_schema, spool, segment, read_bytes)
     SELECT $1, $2, segment, read_bytes FROM unnest($3::text[], $4::bigint[]) AS moved (segment, read_bytes)
     ON CONFLICT (target_schema, spool, segment) DO UPDATE
     SET read_bytes = excluded.read_bytes, updated_at = clock_timestamp()`,
    [schema, spool, [...moved.keys()], [...moved.values()]],
  );
}

/** Forgets segments that are no longer on disk. */
export async function forgetSegments(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  segments: readonly string[],
): Promise<void> {
  await tx.query(
    `DELETE FROM trace_console.spool_offsets
     WHERE target_schema = $1 AND spool = $2 AND segment = ANY ($3)`,
    [schema, spool, segments],
  );
}

/** The counts of one CLI in a batch. */
export type SourceCount = { events: number; unknown: number; lastAtMs: number };

export async function countSources(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  host: string,
  sources: ReadonlyMap<string, SourceCount>,
): Promise<void> {
  const counts = [...sources.values()];
  await tx.query(
    `INSERT INTO trace_console.spool_sources AS known
       (target_schema, spool, cli, host, events, unknown_events, last_event_at)
     SELECT $1, $2, cli, $3, events, unknown, to_timestamp(last_ms / 1000.0)
     FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[]) AS seen (cli, events, unknown, last_ms)
     ON CONFLICT (target_schema, spool, cli) DO UPDATE
     SET host = excluded.host, events = known.events + excluded.events,
       unknown_events = known.unknown_events + excluded.unknown_events,
       last_event_at = greatest(known.last_event_at, excluded.last_event_at)`,
    [
      schema,
      spool,
      host,
      [...sources.keys()],
      counts.map(({ events }) => events),
      counts.map(({ unknown }) => unknown),
      counts.map(({ lastAtMs }) => lastAtMs),
    ],
  );
}

export async function readPairs(tx: Queryable, { schema, spool }: SpoolKey): Promise<ToolPairs> {
  const { rows } = await tx.query<{ pairs: StoredPairs }>(
    `SELECT pairs FROM trace_console.spool_pairs WHERE target_schema = $1 AND spool = $2`,
    [schema, spool],
  );
  return new ToolPairs(rows[0]?.pairs);
}

export async function writePairs(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  pairs: ToolPairs,
): Promise<void> {
  await tx.query(
    `INSERT INTO trace_console.spool_pairs (target_schema, spool, pairs) VALUES ($1, $2, $3)
     ON CONFLICT (target_schema, spool) DO UPDATE SET pairs = excluded.pairs`,
    [schema, spool, JSON.stringify(pairs.stored())],
  );
}

/** An event that is put aside, with the reason. */
export type Quarantined = { record: SpoolRecord; error: string };

export async function quarantine(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  events: readonly Quarantined[],
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(({ record, error }) => ({
    ...{ id: record.id, cli: record.cli, at: record.at, error: error.slice(0, 2_000) },
    // Stored as text: jsonb may refuse it, and that may be why the event was put aside.
    record: JSON.stringify(record).replaceAll('\\u0000', ''),
  }));
  const column = (name: keyof (typeof rows)[number]) => rows.map((row) => row[name]);
  await tx.query(
    `INSERT INTO trace_console.quarantined_events
       (target_schema, spool, record_id, cli, received_at, error, record)
     SELECT $1, $2, id, cli, to_timestamp(at / 1e9), error, record
     FROM unnest($3::text[], $4::text[], $5::numeric[], $6::text[], $7::text[]) AS r (id, cli, at, error, record)
     ON CONFLICT (target_schema, spool, record_id) DO NOTHING`,
    [
      ...[schema, spool, column('id'), column('cli'), column('at')],
      ...[column('error'), column('record')],
    ],
  );
}

/** So many are brought back with one batch. */
const mostBack = 1_000;

/** Takes events back that were put aside for this reason, which is gone. A role that may not delete leaves them there. */
export async function takeBack(
  tx: Queryable,
  { schema, spool }: SpoolKey,
  error: string,
): Promise<SpoolRecord[]> {
  // Of several privileges in one call any would do.
  const may = `SELECT FROM (VALUES ('trace_console.quarantined_events')) AS of (aside)
    WHERE has_table_privilege(aside, 'SELECT') AND has_table_privilege(aside, 'DELETE')`;
  if ((await tx.query(may)).rows.length === 0) return [];
  const { rows } = await tx.query<{ record: string }>(
    `DELETE FROM trace_console.quarantined_events WHERE target_schema = $1 AND spool = $2 AND record_id IN (
       SELECT record_id FROM trace_console.quarantined_events
       WHERE target_schema = $1 AND spool = $2 AND error = $3 ORDER BY record_id LIMIT $4)
     RETURNING record`,
    [schema, spool, error, mostBack],
  );
  return rows.map(({ record }) => parseExactJson(record) as SpoolRecord);
}

export async function countQuarantined(
  tx: Queryable,
  { schema, spool }: SpoolKey,
): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM trace_console.quarantined_events
     WHERE target_schema = $1 AND spool = $2`,
    [schema, spool],
  );
  return rows[0]?.count ?? 0;
}
