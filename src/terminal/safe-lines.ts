import { safeBlock } from './sanitise.js';
import { wrapText } from './wrap.js';

/** Code units made safe and wrapped at once: some milliseconds' work, of whatever script. */
const chunkUnits = 2048;
/** How far back from its end a chunk is searched for a place to cut. */
const lookBack = 512;

/**
 * A text as safe lines of at most `columns`, made one after the other as they are asked for: of two
 * megabytes of wide characters, which take seconds, the first screen costs what a screen costs.
 * Where chunks meet, no line is broken that would not have been broken elsewhere.
 */
export function* safeLines(text: string, columns: number): Generator<string, void, undefined> {
  if (columns <= 0) return;
  let unfinished = '';
  for (const chunk of chunksOf(text)) {
    const paragraphs = (unfinished + safeBlock(chunk, { limit: chunk.length })).split('\n');
    const last = paragraphs.pop() ?? '';
    for (const paragraph of paragraphs) yield* wrapText(paragraph, columns);
    const lines = wrapText(last, columns);
    // Wrapping takes the blanks at an end away; of what goes on they part two words.
    unfinished = (lines.pop() ?? '') + last.slice(last.trimEnd().length);
    yield* lines;
  }
  yield unfinished.trimEnd();
}

function* chunksOf(text: string): Generator<string, void, undefined> {
  for (let start = 0; start < text.length;) {
    const end = cutBefore(text, start, start + chunkUnits);
    yield text.slice(start, end);
    start = end;
  }
}

/** After a line feed or a blank, else where two characters meet; never in an escape sequence's beginning. */
function cutBefore(text: string, start: number, end: number): number {
  if (end >= text.length) return text.length;
  const least = end - lookBack;
  const feed = text.lastIndexOf('\n', end - 1);
  if (feed >= least) return feed + 1;
  const blank = text.lastIndexOf(' ', end - 1);
  const escape = text.lastIndexOf('\x1b', end - 1);
  if (escape >= least && escape > start && escape > blank) return escape;
  if (blank >= least) return blank + 1;
  for (let at = end; at > least; at--) if (meetAt(text, at)) return at;
  // All of it is one cluster, or is flags: half a code point is all that must not be.
  return isLowSurrogate(text.charCodeAt(end)) ? end - 1 : end;
}

/** What never belongs to the character before it. */
const begins = /^(?:[\p{L}\p{N}\p{P}](?<![\u1100-\u11ff])|\p{Extended_Pictographic})/u;
/** What may end a character: no joiner, no leading consonant of Hangul, no half of a flag. */
const ends = /(?:[\p{L}\p{N}\p{P}\p{M}](?<![\u1100-\u115f])|\p{Extended_Pictographic})$/u;

function meetAt(text: string, at: number): boolean {
  const isWhole = !isLowSurrogate(text.charCodeAt(at));
  return isWhole && begins.test(text.slice(at, at + 2)) && ends.test(text.slice(at - 2, at));
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
