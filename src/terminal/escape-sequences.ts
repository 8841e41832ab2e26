/** A sequence found in terminal input. */
export type EscapeSequence = {
  /** Code units it takes. */
  length: number;
  /** Whether it is a key Ink knows; else it is a mouse or focus report, a reply, or unknown. */
  isKey: boolean;
};

/* eslint-disable no-control-regex */
// Ink 6.8 gives the sequence of any other key to its handlers as text.
const knownKey =
  /^\x1b{1,2}(?:\[(?:1;\d+)?[A-FHZ]|\[[a-e]|\[(?:[1-8]|1[1-57-9]|2[0134])(?:;\d+)?~|\[[235678][$^]|\[\[(?:[A-E]|[56]~)|O[A-FHP-Sa-e])$/;
const mouseX10 = /\x1b\[M[^]{3}/y;
const csi = /\x1b{1,2}\[\[?[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]/y;
const partialCsi = /\x1b{1,2}\[(?:M[^]{0,2}|\[?[\x30-\x3f]*[\x20-\x2f]*)$/y;
const ss3 = /\x1b{1,2}O[\x40-\x7e]/y;
const partialSs3 = /\x1b{1,2}O?$/y;
const stringSequence = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)/y;
const partialString = /\x1b[\]PX^_][^\x07\x1b]*\x1b?$/y;
const altCharacter = /\x1b(?:[\b\r]|[^\x00-\x1f\x80-\x9f])/uy;
/* eslint-enable no-control-regex */

/**
 * The sequence that begins with the Escape at an index of the input; undefined when the input ends
 * before the sequence does. An Escape that begins none is a key by itself.
 */
export function scanEscape(input: string, index: number): EscapeSequence | undefined {
  for (const partial of [partialSs3, partialCsi, partialString]) {
    if (matchAt(partial, input, index) !== undefined) return undefined;
  }
  const report = matchAt(mouseX10, input, index) ?? matchAt(stringSequence, input, index);
  if (report !== undefined) return { length: report.length, isKey: false };
  const sequence = matchAt(csi, input, index) ?? matchAt(ss3, input, index);
  if (sequence !== undefined) return { length: sequence.length, isKey: knownKey.test(sequence) };
  return { length: matchAt(altCharacter, input, index)?.length ?? 1, isKey: true };
}

function matchAt(pattern: RegExp, text: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0];
}
