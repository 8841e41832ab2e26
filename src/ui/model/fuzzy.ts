/**
 * How well a typed text fits a name, 0 when it does not: the beginning of the name is best, then the beginning of a word
 * of it, then anywhere in it, then its letters in order, then the beginning of a word of what it says.
 */
export function fuzzyScore(typed: string, name: string, says: string): number {
  const wanted = typed.toLowerCase();
  const known = name.toLowerCase();
  if (wanted === '') return 1;
  if (known === wanted) return 100;
  // Of two names with the same beginning the shorter is nearer.
  const nearness = wanted.length / known.length;
  if (known.startsWith(wanted)) return 80 + nearness;
  if (startsWord(known, wanted)) return 60 + nearness;
  if (known.includes(wanted)) return 40 + nearness;
  if (hasInOrder(known, wanted)) return 20 + nearness;
  return wanted.length >= 3 && startsWord(says.toLowerCase(), wanted) ? 10 : 0;
}

function startsWord(text: string, wanted: string): boolean {
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))) return true;
  }
  return false;
}

function hasInOrder(text: string, wanted: string): boolean {
  let at = 0;
  for (const letter of wanted) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
