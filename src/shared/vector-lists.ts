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

/** Fewer embeddings a list make poor centres; pgvector itself samples 50 a list. */
const fewEmbeddings = 20;

/**
 * Whether an ivfflat index was built on far fewer rows than its table has now. `idsSinceTable`: the
 * index's file id less the table's oid. Both are drawn from one counter, and so is the id of every
 * out-of-line value, as an embedding of 1536 dimensions is: no more of them than that had been stored
 * when the index was built. Negative after the counter came round, and then it tells nothing.
 */
export function builtOnTooFewRows(index: {
  lists: number;
  rows: number;
  idsSinceTable: number;
}): boolean {
  const { lists, rows, idsSinceTable } = index;
  return (
    rows >= lists &&
    rows > idsSinceTable &&
    idsSinceTable >= 0 &&
    idsSinceTable < fewEmbeddings * lists
  );
}
