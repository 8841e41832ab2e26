import { createHash } from 'node:crypto';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../core/tables.js';
import type { ArchiveColumn } from './trees.js';

/**
 * An export of archived trees: JSON lines. The first line is a {@link ExportHeader}, then come rows,
 * whole trees in batches, each ended by a {@link BatchEnd}; the last line is an {@link ExportEnd},
 * without which the file is not whole.
 *
 * A row is written by PostgreSQL itself, in a form that reads back as the very same value:
 * `{"table":"hook_executions","row":{…}}`. In JSON a column that is NULL and one that holds JSON's null
 * look alike, so the latter are named: `"jsonNull":["context"]`.
 */
export type ExportHeader = {
  traceConsoleArchive: 1;
  schema: string;
  exportedAt: string;
  columns: Record<ArchivedTable, string[]>;
};

/** Rows since the batch before, and the sum of their hashes: their order does not matter. */
export type BatchEnd = { batch: { rows: number; checksum: string } };

export type ExportEnd = {
  end: { rows: Record<ArchivedTable, number>; batches: number; checksum: string };
};

/** Settings under which a row reads the same on every server. */
export const lineSettings = {
  timezone: 'UTC',
  extra_float_digits: '1',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
} as const;

export type LineColumn = Pick<ArchiveColumn, 'name' | 'json'>;

/** A SELECT of `id` and `line` of the rows of `source`, a FROM item with these columns. */
export function linesOf(table: string, columns: readonly LineColumn[], source: string): string {
  const list = columns.map(({ name }) => quoteIdent(name)).join(', ');
  const nulls = columns
    .filter(({ json }) => json)
    .map(({ name }) => `CASE WHEN r.${quoteIdent(name)} = 'null' THEN ${quoteLiteral(name)} END`);
  const jsonNull =
    nulls.length === 0
      ? `''`
      : `COALESCE('"jsonNull":' || NULLIF(array_to_json(array_remove(ARRAY[${nulls.join(', ')}]::text[], NULL))::text, '[]') || ',', '')`;
  // A column of type json may have line breaks between its keys.
  return `SELECT r.id, ${quoteLiteral(`{"table":"${table}",`)} || ${jsonNull}
      || '"row":' || translate(row_to_json(r)::text, E'\\n\\r', '  ') || '}' AS line
    FROM (SELECT ${list} FROM ${source}) AS r`;
}

/** Count and checksum of lines, as {@link LineSum} makes them. */
export function sumOf(lines: string): string {
  return `SELECT count(*) AS rows,
      COALESCE(sum(('x' || left(md5(convert_to(line, 'UTF8')), 15))::bit(60)::bigint), 0)::text AS checksum
    FROM (${lines}) AS lines`;
}

/** Counts lines and adds up the first 60 bits of their MD5: lost, doubled and changed ones show. */
export class LineSum {
  rows = 0;
  #sum = 0n;

  add(line: string): void {
    this.rows += 1;
    this.#sum += BigInt(`0x${createHash('md5').update(line).digest('hex').slice(0, 15)}`);
  }

  addSum(rows: number, checksum: string): void {
    this.rows += rows;
    this.#sum += BigInt(checksum);
  }

  get checksum(): string {
    return this.#sum.toString();
  }

  equals({ rows, checksum }: { rows: number; checksum: string }): boolean {
    return rows === this.rows && checksum === this.checksum;
  }
}

/**
 * An INSERT of rows as they stand in an export; $1 is a JSON array of lines. An archive that was partitioned by hand has no
 * unique key of just `id`.
 */
export function insertLines(table: ArchivedTable, columns: readonly LineColumn[]): string {
  const target = quoteIdent(archiveOf(table));
  const list = columns.map(({ name }) => quoteIdent(name)).join(', ');
  return `INSERT INTO ${target} (${list}) SELECT ${lineValues(columns)}
    FROM json_array_elements($1::json) AS line, json_populate_record(NULL::${target}, line->'row') AS r
    WHERE line->>'table' = ${quoteLiteral(table)}
      AND (SELECT x.id FROM ${target} AS x WHERE x.id = r.id LIMIT 1) IS NULL
    ON CONFLICT DO NOTHING`;
}

/** The values of a `line`, whose row as a record is `r`. */
export function lineValues(columns: readonly LineColumn[]): string {
  const values = columns.map(({ name, json }) =>
    json
      ? `CASE WHEN (line->'jsonNull')::jsonb ? ${quoteLiteral(name)} THEN 'null'::jsonb ELSE r.${quoteIdent(name)} END`
      : `r.${quoteIdent(name)}`,
  );
  return values.join(', ');
}

export const noCounts = (): Record<ArchivedTable, number> => ({
  execution_traces: 0,
  agent_routing_decisions: 0,
  hook_executions: 0,
  endpoint_calls: 0,
});

export function isArchivedTable(name: unknown): name is ArchivedTable {
  return archivedTables.some((table) => table === name);
}
