/** What the schema builds its ivfflat indexes with. */
export const defaultLists = 100;

/** From so many on a build takes too long and too much memory for what more lists gain. */
const manyLists = 1_000;

/**
 * How many lists an ivfflat index over so many rows should have: twice the square root of the rows, 100 (the
 * schema's) to 1,000; from a million rows on the square root itself, which is pgvector's own advice.
 *
 * Below a million pgvector advises rows / 1000 and assumes that few lists are searched, while find_similar_patterns
 * searches the square root of them for the sake of recall. Of 100,000 × 1536 it compares then 10,200 vectors at 100 lists,
 * 6,200 at 316 (8.4 ms), 4,800 at 632 (6.6 ms, and twice as long to build), 4,400 at 1,000 (three times as long again).
 * recall@10 is 1.0 in 60 clusters; in 2,000 clusters whose points are hardly alike 0.50 at 316 lists and 0.92 at 632.
 */
export function recommendedLists(rows: number): number {
  const root = Math.sqrt(rows);
  return Math.round(Math.max(defaultLists, Math.min(2 * root, Math.max(manyLists, root))));
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
