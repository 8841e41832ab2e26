/**
 * What names an index that no query needs: `_ccnew` and `_ccold` are left by an interrupted REINDEX
 * CONCURRENTLY, `_tcnew` and `_tcold` by an interrupted rebuild of the console's own, with other lists
 * or another method. The name alone proves nothing.
 */
export const leftoverPattern = String.raw`_(cc|tc)(new|old)\d*$`;

/**
 * How the comment of such an index of the console's own begins. One that is finished but not yet, or no
 * longer, in use is valid, and told from somebody's own index by nothing else.
 */
export const replacementMark = 'trace-console: not in use; ';

/**
 * Whether an index is named as a leftover of another. A name of 63 bytes is cut, so there its beginning
 * counts; a character of several bytes at the cut makes it a little shorter.
 */
export function isNamedAfter(leftover: string, other: string): boolean {
  const base = leftover.replace(new RegExp(leftoverPattern), '');
  if (base === leftover || other === leftover) return false;
  const bytes = Buffer.byteLength(leftover);
  return (
    other === base || (bytes > 59 && Buffer.byteLength(other) > bytes - 8 && other.startsWith(base))
  );
}

/** The same in SQL; `$1` is `leftoverPattern`. */
export function isNamedAfterInSql(leftover: string, other: string): string {
  const base = `regexp_replace(${leftover}, $1, '')`;
  return `(${other} = ${base} OR (octet_length(${leftover}) > 59
    AND octet_length(${other}) > octet_length(${leftover}) - 8 AND starts_with(${other}, ${base})))`;
}
