import { escapeIdentifier, escapeLiteral } from 'pg';

/** Quotes an SQL identifier; several parts are joined by dots: `quoteIdent('public', 'a"b')`. */
export function quoteIdent(...parts: [string, ...string[]]): string {
  return parts.map((part) => escapeIdentifier(part)).join('.');
}

/** Quotes a string constant, for the few statements (SET, DDL) that take no parameters. */
export function quoteLiteral(value: string): string {
  return escapeLiteral(value);
}
