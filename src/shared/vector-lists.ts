/** What the schema builds its ivfflat indexes with: right up to 100,000 rows. */
export const defaultLists = 100;

/**
 * How many lists an ivfflat index over so many rows should have: the square root of the rows, and never fewer
 * than the schema's 100. From a million on that is pgvector's own advice; below, its rows / 1000 assumes that few
 * lists are searched, while find_similar_patterns searches the square root of them for the sake of recall: at
 * 100,000 rows 10 of 100 lists are a tenth of the table (26 ms), 18 of 316 a twentieth (9 ms), as complete.
 */
export function recommendedLists(rows: number): number {
  return Math.max(defaultLists, Math.round(Math.sqrt(rows)));
}

/** How many of the lists are searched for good recall: pgvector's advice, and what find_similar_patterns does. */
export function probesFor(lists: number): number {
  return Math.ceil(Math.sqrt(lists));
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
