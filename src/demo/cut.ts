/** The first so many UTF-16 units, without half a character at the end: jsonb refuses those. */
export function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
}
