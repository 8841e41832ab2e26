/** A value of a row: what the database gave, not what was drawn. */
export type ExportValue = unknown;

/**
 * Rows as CSV by RFC 4180, with a heading: times in ISO 8601, lists and JSON as JSON, NULL as nothing. A text that a
 * spreadsheet would take for a formula gets an apostrophe before it: the texts come from prompts.
 */
export function csvOf(
  heading: readonly string[],
  rows: readonly (readonly ExportValue[])[],
): string {
  return [heading, ...rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

const formula = /^[=+\-@\t\r]/;

function csvCell(value: ExportValue): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString();
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const harmless = formula.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
