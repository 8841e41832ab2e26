/** What the schema builds its ivfflat indexes with. */
export const defaultLists = 100;

/** From so many on a build takes too long and too much memory for what more lists gain. */
const manyLists = 1_000;

/** So many embeddings are compared in about 3 ms: fewer lists cost nothing worth having, more lists cost recall. */
export const comparedAtLeast = 2_000;

/**
 * How many lists an ivfflat index over so many rows should have, where the square root of them is searched, as
 * find_similar_patterns does for the sake of recall: twice the square root of the rows, up to 1,000 (from a million rows on the
 * square root itself, pgvector's own advice), and so few that a search compares 2,000 rows. Up to 2,000 rows are one list,
 * which is an exact search.
 *
 * Of 100,000 × 1536 it compares 10,200 vectors at 100 lists, 6,200 at 316 (8.4 ms), 4,800 at 632 (6.6 ms, and twice as long to
 * build), 4,400 at 1,000 (three times as long again). recall@10 is 1.0 in 60 clusters; in 2,000 clusters whose points are hardly
 * alike 0.50 at 316 lists and 0.92 at 632. Of 200 rows in 100 lists it was 0.53.
 */
export function recommendedLists(rows: number): number {
  const root = Math.sqrt(rows);
  const forSpeed = Math.min(2 * root, Math.max(manyLists, root));
  return Math.max(1, Math.round(Math.min(forSpeed, (rows / comparedAtLeast) ** 2)));
}

/** The share of the lists that is searched goes by their square root: four times as many, and half is read. */
const tolerance = 4;

/**
 * Whether an index has about as many lists as its rows ask for: with a fourth of them a search reads twice as much as it needs,
 * with four times as many it misses neighbours. Of fewer than 100 rows nothing is said: they are compared without an index.
 */
export function fitsRows(lists: number, rows: number): boolean {
  const fitting = recommendedLists(rows);
  return rows < defaultLists || (lists * tolerance >= fitting && lists <= fitting * tolerance);
}

/** How many of the lists are searched for good recall: pgvector's advice, and what find_similar_patterns does. */
export function probesFor(lists: number): number {
  return Math.ceil(Math.sqrt(lists));
}

/**
 * How many of the lists are searched where the index may not fit its rows: as many as hold `comparedAtLeast` rows. An index
 * that was built while its table was empty has 100 lists around centres by chance; of a young table all are searched.
 *
 * @param rows in the index; not above 0: not known, as of a table that was never vacuumed or analyzed
 */
export function probesComparing(lists: number, rows: number): number {
  const share = rows > comparedAtLeast ? comparedAtLeast / rows : 1;
  return Math.min(lists, Math.max(probesFor(lists), Math.ceil(lists * share)));
}

/**
 * How many of the lists are searched for what is near to a prompt: half of what {@link probesFor} says where the index fits its
 * rows, but at least as many as hold `comparedAtLeast` rows. Of 100,000 rows in 632 lists recall@40 is 0.992 at 13 and 0.999 at
 * 26 in 60 clusters, 0.90 and 0.92 in 2,000 clusters whose points are hardly alike, in half the time.
 */
export function probesForNear(lists: number, rows: number): number {
  if (!fitsRows(lists, rows)) return probesComparing(lists, rows);
  const share = rows > comparedAtLeast ? comparedAtLeast / rows : 1;
  return Math.min(lists, Math.max(Math.ceil(probesFor(lists) / 2), Math.ceil(lists * share)));
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
  // One list is searched whole, whatever its centre.
  return (
    lists > 1 &&
    rows >= lists &&
    rows > idsSinceTable &&
    idsSinceTable >= 0 &&
    idsSinceTable < fewEmbeddings * lists
  );
}
