import { escapeIdentifier, escapeLiteral } from 'pg';

/** Quotes an SQL identifier; several parts are joined by dots: `quoteIdent('public', 'a"b')`. */
export function quoteIdent(...parts: [string, ...string[]]): string {
  return parts.map((part) => escapeIdentifier(part)).join('.');
}

/** Quotes a string constant, for the few statements (SET, DDL) that take no parameters. */
export function quoteLiteral(value: string): string {
  return escapeLiteral(value);
}

/**
 * A text as SQL, bounded to `most` characters: the last of a longer one is `…`, so that whoever reads it knows. Of a text
 * of megabytes only its beginning is read; `octet_length` tells from the stored size that most are short.
 */
export function boundedText(text: string, most: number): string {
  return `CASE WHEN octet_length(${text}) <= ${most} OR length(left(${text}, ${most + 1})) <= ${most} THEN ${text} ELSE left(${text}, ${most - 1}) || '…' END`;
}

/** A word as a POSIX shell reads it back unchanged: `idx_a`, `'hk$(touch x)'`. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A CTE: tables and indexes that others have locked against everybody, each with the first of them. Waits for nobody. */
export const lockedRelations = `locked AS MATERIALIZED (
  SELECT relation, min(pid) AS pid
  FROM pg_locks
  WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  GROUP BY relation
)`;

/**
 * Seconds from one time to another, as SQL; infinite where one of them is. Before PostgreSQL 17 the difference itself is an error then:
 * `cannot subtract infinite timestamps`.
 */
export function secondsBetween(earlier: string, later: string): string {
  return `(date_part('epoch', (${later})::timestamptz) - date_part('epoch', (${earlier})::timestamptz))`;
}
