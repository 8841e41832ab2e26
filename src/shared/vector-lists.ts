/** What the schema builds its ivfflat indexes with: right up to 100,000 rows. */
export const defaultLists = 100;

/**
 * How many lists an ivfflat index over so many rows should have: pgvector's own advice, rows / 1000 up to a
 * million and the square root beyond, and never fewer than the schema's 100.
 */
export function recommendedLists(rows: number): number {
  if (rows > 1_000_000) return Math.round(Math.sqrt(rows));
  return Math.max(defaultLists, Math.round(rows / 1000));
}
