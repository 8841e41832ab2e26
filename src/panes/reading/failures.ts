import { type SchemaShape, columnOrNull, hasColumn } from '../contract/shape.js';
import type { Queryable } from '../../db/database.js';
import type { CallSource } from './calls.js';
import { boundedText, quoteIdent } from '../../db/quote.js';
import { within } from './windows.js';

type Kind = {
  table: string;
  kind: 'trace' | 'hook' | 'endpoint_call';
  /** Of the alias `f`, and of `below`. */
  failed: (alias: string) => string;
  needed: string;
  what: string;
};

const hasStatus = (alias: string) => `${alias}.status IN ('failed', 'timeout')`;

const traces = {
  table: 'execution_traces',
  kind: 'trace',
  failed: hasStatus,
  needed: 'status',
  what: 'source',
} as const satisfies Kind;

const hooks = {
  table: 'hook_executions',
  kind: 'hook',
  failed: hasStatus,
  needed: 'status',
  what: 'hook_name',
} as const satisfies Kind;

const calls = {
  table: 'endpoint_calls',
  kind: 'endpoint_call',
  failed: (alias) => `${alias}.success = false`,
  needed: 'success',
  what: 'service_name',
} as const satisfies Kind;

/** What belongs to an event directly: by which of its columns to which of the event's. Each by an index. */
const belowOf: Readonly<Record<Kind['kind'], readonly (readonly [Kind, string, string])[]>> = {
  trace: [
    [traces, 'parent_id', 'correlation_id'],
    [hooks, 'trace_id', 'id'],
    [calls, 'trace_id', 'id'],
  ],
  hook: [[calls, 'hook_execution_id', 'id']],
  endpoint_call: [],
};

function isReadable(shape: SchemaShape, { table, needed }: Kind): boolean {
  const relation = shape.relations.get(table);
  return Boolean(
    relation?.select && relation.columns.has('started_at') && relation.columns.has(needed),
  );
}

/** The type of an error, as `f.error_type` or NULL is one. */
function typeOf(shape: SchemaShape, { table }: Kind, alias: string): string {
  const column = hasColumn(shape, table, 'error_type') ? `${alias}.error_type` : 'NULL::text';
  return boundedText(`COALESCE(${column}, 'unknown')`, 200);
}

/**
 * A failure, where it happened: not the trace or hook that failed with the same error because of something directly below it.
 * Of the alias `f`. A subquery with a limit is looked up by index for each row: a join would read every failure there ever was.
 */
function failedItself(shape: SchemaShape, of: Kind): string {
  const causes = belowOf[of.kind]
    .filter(
      ([below, to, from]) =>
        isReadable(shape, below) &&
        hasColumn(shape, below.table, to) &&
        hasColumn(shape, of.table, from),
    )
    .map(
      ([below, to, from]) =>
        ` AND (SELECT 1 FROM ${below.table} AS below WHERE below.${to} = f.${from} AND ${below.failed('below')} AND ${typeOf(shape, below, 'below')} = ${typeOf(shape, of, 'f')} LIMIT 1) IS NULL`,
    );
  return of.failed('f') + causes.join('');
}

/**
 * What failed, by type of error: traces, hooks and calls, each failure once, of a window. Each branch reads its partial
 * index of failures. Sums: traces, hooks, calls.
 */
export function failureSource(shape: SchemaShape): CallSource {
  const read = [traces, hooks, calls].filter((each) => isReadable(shape, each));
  const branches = read.map(
    (each) =>
      `SELECT ${typeOf(shape, each, 'f')} AS error_type, '${each.kind}' AS kind, f.started_at FROM ${each.table} AS f WHERE ${failedItself(shape, each)}`,
  );
  return {
    from: `(${branches.join(' UNION ALL ')}) AS f`,
    at: 'f.started_at',
    groups: ['f.error_type'],
    failed: 'true',
    inProgress: 'false',
    sums: [traces, hooks, calls].map(
      ({ kind }) => `CASE WHEN f.kind = '${kind}' THEN 1 ELSE 0 END`,
    ),
    reads: read.map(({ table }) => ({ table, at: 'started_at' })),
  };
}

/** `$1` and `$2`; behind them what the rows are chosen by. */
const inWindow = within('started_at', '$1', '$2');

/**
 * The failures of a type among traces, hooks and calls, as {@link failureSource} counts them. `$1`, `$2`: window, `$3`: type.
 * Each branch reads the window from its partial index of failures. Texts are cut.
 */
export function failuresOfTypeStatement(shape: SchemaShape): string {
  const branch = (each: Kind) => {
    const column = (name: string, type: string) => columnOrNull(shape, each.table, name, type);
    return `
SELECT '${each.kind}' AS kind, id, ${each.kind === 'trace' ? 'id' : column('trace_id', 'uuid')} AS trace_id, started_at,
  ${column('duration_ms', 'bigint')} AS duration_ms, true AS failed, ${boundedText(each.what, 200)} AS what,
  ${boundedText(column('error_message', 'text'), 300)} AS text
FROM ${quoteIdent(each.table)} AS f
WHERE ${failedItself(shape, each)} AND ${typeOf(shape, each, 'f')} = $3 AND ${inWindow}`;
  };
  return [traces, hooks, calls]
    .filter(({ table, needed }) => shape.relations.get(table)?.columns.has(needed))
    .map(branch)
    .join('\nUNION ALL');
}

/** Open patterns whose types are shown although nothing failed in the window. */
const mostOpen = 200;

/** Open patterns are counted so far; beyond, the count is said to be a part. */
export const mostPatternsCounted = 100_000;

/** What is known of these types, and of the worst types besides that have open patterns. @throws ConsoleError */
export async function readPatterns(
  tx: Queryable,
  shape: SchemaShape,
  types: readonly string[],
): Promise<ErrorPatternsRow[]> {
  const relation = shape.relations.get('error_patterns');
  const needed = ['error_type', 'first_occurrence_at', 'last_occurrence_at'];
  if (!relation?.select || !needed.every((column) => relation.columns.has(column))) return [];
  const { rows } = await tx.query<ErrorPatternsRow>(errorPatternsStatement(shape), [
    types,
    mostOpen,
  ]);
  return rows;
}

/**
 * What is known of types of errors. `$1`: types that were seen; besides them those of open patterns, the most
 * severe and frequent first, of `$2` patterns. Each type with all of its patterns. By idx_error_type and idx_error_open: one look
 * a type, so that the table is never read whole however many types are asked for.
 */
function errorPatternsStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'error_patterns', column, type);
  const severity = boundedText(optional('severity', 'text'), 20);
  const resolvedAt = optional('resolved_at', 'timestamptz');
  return `
WITH worst AS (
  SELECT open.error_type
  FROM unnest('{critical,high,medium,low}'::text[]) WITH ORDINALITY AS rank (severity, place), LATERAL (
    SELECT error_type FROM error_patterns
    WHERE ${resolvedAt} IS NULL AND ${shape.relations.get('error_patterns')?.columns.has('severity') ? 'severity = rank.severity' : 'rank.place = 1'}
    ORDER BY ${optional('occurrence_count', 'integer')} DESC LIMIT $2) AS open
  ORDER BY rank.place LIMIT $2
), types AS (
  SELECT unnest($1::text[]) AS error_type UNION SELECT error_type FROM worst
), known AS (
  SELECT found.*
  FROM types, LATERAL (
    SELECT ${boundedText('error_type', 200)} AS error_type, ${severity} AS severity,
      ${boundedText(optional('error_category', 'text'), 200)} AS category, first_occurrence_at, last_occurrence_at,
      ${resolvedAt} AS resolved_at, ${resolutionOf(optional)} AS resolution
    FROM error_patterns WHERE error_patterns.error_type = types.error_type OFFSET 0) AS found
)
SELECT
  error_type AS type,
  (array_agg(severity ORDER BY array_position('{critical,high,medium,low}'::text[], severity)))[1] AS severity,
  min(category) AS category,
  count(*) FILTER (WHERE resolved_at IS NULL) AS open,
  (SELECT count(*) FROM (SELECT FROM error_patterns WHERE ${resolvedAt} IS NULL LIMIT ${mostPatternsCounted}) AS open) AS all_open,
  min(first_occurrence_at) AS first_seen,
  max(last_occurrence_at) AS last_seen,
  (array_agg(resolution ORDER BY last_occurrence_at DESC) FILTER (WHERE resolution IS NOT NULL))[1] AS resolution
FROM known
GROUP BY error_type`;
}

/** What got over it, and in which share of all occurrences: `62% · same turn: Edit (5 of 8)`. */
function resolutionOf(optional: (column: string, type: string) => string): string {
  const rate = optional('resolution_success_rate', 'numeric');
  const way = boundedText(optional('resolution_pattern', 'text'), 300);
  return `COALESCE(round(100 * ${rate})::text || '% · ', '') || ${way}`;
}

export type ErrorPatternsRow = {
  type: string;
  severity: string | null;
  category: string | null;
  open: number;
  /** Of all types. */
  all_open: number;
  first_seen: Date | null;
  last_seen: Date | null;
  resolution: string | null;
};
