/** The word of a list that was most likely meant by a misspelt one; undefined when none is near. */
export function nearestWord(typed: string, words: Iterable<string>): string | undefined {
  const wanted = typed.toLowerCase();
  // A third of the letters wrong is still the word; more is another one.
  let tooMany = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let nearest: string | undefined;
  for (const word of words) {
    const known = word.toLowerCase();
    const isBeginning = wanted.length >= 3 && known.startsWith(wanted);
    const edits = isBeginning ? 1 : editsBetween(wanted, known);
    if (edits < tooMany) {
      tooMany = edits;
      nearest = word;
    }
  }
  return nearest;
}

/** The beginning of a hint; nothing where none is near. */
export function didYouMean(typed: string, words: Iterable<string>): string {
  const nearest = nearestWord(typed, words);
  return nearest === undefined ? '' : `Did you mean ${nearest}? `;
}

/** Letters to insert, drop, replace, or swap with their neighbour (optimal string alignment). */
function editsBetween(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const next = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      next[column] = Math.min(
        (next[column - 1] ?? 0) + 1,
        (last[column] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped && row > 1 && column > 1 ? (beforeLast[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    [beforeLast, last] = [last, next];
  }
  return last[to.length] ?? 0;
}
