import { controlSequences, directionMarks } from '../core/control-sequences.js';
import { firstOf, late } from '../core/values.js';
import { graphemes, graphemeWidth, wrapText } from './width.js';

/**
 * Everything read from a database and shown goes through here. What comes out holds no control
 * character, no escape sequence, nothing invisible and nothing that turns the direction of a line,
 * and each character of it is as wide in Ink's layout as in a terminal that counts code points.
 */
export type LineOptions = {
  /** Code units of the input looked at; the rest counts as cut off. Default 1024. */
  limit?: number;
  /** Shown for a line break in one-line text: '⏎', or ' ' on a terminal without Unicode. */
  lineBreak?: string;
  /** Shown where the input was cut: '…', or '~' on a terminal without Unicode. */
  ellipsis?: string;
};

export type BlockOptions = {
  /** Code units of the input looked at. Default 65536. */
  limit?: number;
  ellipsis?: string;
};

const printableAscii = /^[\x20-\x7e]*$/;

const lineBreaks = /\r\n|[\n\v\f\r\x85\u2028\u2029]/g;
// eslint-disable-next-line no-control-regex
const controls = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/g;
// What knows classes of Unicode is made when a text needs it: a start does without.
// Format characters (direction marks and overrides, joiners, byte order mark, tags), everything
// Unicode calls ignorable (variation selectors, fillers), and the enclosing keycap.
const invisible = late(() => /[\p{Cf}\p{Default_Ignorable_Code_Point}\u20e3]/gu);
const skinTones = late(() => /(?<=\p{Extended_Pictographic})\p{Emoji_Modifier}+/gu);
const spaces = late(() => /\p{Zs}/gu);
// Lone surrogates, unassigned and private characters, and Hangul vowels and finals left without a leading consonant.
const unshowable = late(() => /[\p{Cs}\p{Cn}\p{Co}\u1160-\u11ff\ud7b0-\ud7fb]/gu);
const marks = late(() => /\p{M}/gu);
// Scripts in which a code point is a character, so that clusters need no look.
const plainScripts =
  /^[\n\x20-\x7e\xa1-\xac\xae-\u02ff\u0391-\u03a1\u03a3-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u2426\u2500-\u2b73\u3041-\u3096\u30a0-\u30ff\u3400-\u9fff\uac00-\ud7a3\ufffd]*$/;

const replacement = '\ufffd';
/** Marks kept on one letter; Vietnamese and polytonic Greek need two. */
const maxMarks = 2;

/** A text as one safe line: line breaks become a sign, tabs a space. */
export function safeLine(text: string, options: LineOptions = {}): string {
  const { limit = 1024, lineBreak = '⏎', ellipsis = '…' } = options;
  const start = firstOf(text, limit);
  const clean = printableAscii.test(start) ? start : safe(start, ' ').replace(/\n+/g, lineBreak);
  return start.length < text.length ? clean + ellipsis : clean;
}

/** A text as safe lines, parted by line feeds; for the full view of a value. */
export function safeBlock(text: string, options: BlockOptions = {}): string {
  const { limit = 65_536, ellipsis = '…' } = options;
  const start = firstOf(text, limit);
  const clean = printableAscii.test(start) ? start : safe(start, '  ');
  return start.length < text.length ? clean + ellipsis : clean;
}

function safe(text: string, tab: string): string {
  const clean = text
    .replace(controlSequences, '')
    .replace(lineBreaks, '\n')
    .replaceAll('\t', tab)
    .replace(controls, '');
  if (plainScripts.test(clean)) return clean;
  const visible = clean
    // Whoever reads must see that something was there: it makes a text look like another.
    .replace(directionMarks, replacement)
    .replace(invisible(), '')
    .replace(skinTones(), '')
    .replace(spaces(), ' ')
    .normalize('NFC')
    .replace(unshowable(), replacement);
  return plainScripts.test(visible) ? visible : portableClusters(visible);
}

function portableClusters(text: string): string {
  let result = '';
  for (const cluster of graphemes(text)) {
    result += cluster.length === 1 || cluster === '\n' ? single(cluster) : portable(cluster);
  }
  return result;
}

/** A mark without a letter has no column of its own, yet Ink gives it one: it is left out. */
function single(cluster: string): string {
  return cluster === '\n' || graphemeWidth(cluster) > 0 ? cluster : '';
}

/**
 * A cluster whose width is the sum of its code points' widths, as most terminals count. Where the
 * two differ (conjuncts of Indic scripts), it is spelled without its marks.
 */
function portable(cluster: string): string {
  let count = 0;
  const bounded = cluster.replace(marks(), (mark) => (++count > maxMarks ? '' : mark));
  if (bounded === '' || graphemeWidth(bounded) === 0) return '';
  if (graphemeWidth(bounded) === sumOfWidths(bounded)) return bounded;
  const bare = bounded.replace(marks(), '');
  let result = '';
  for (const part of graphemes(bare)) {
    result += graphemeWidth(part) === sumOfWidths(part) ? part : replacement;
  }
  return result;
}

function sumOfWidths(cluster: string): number {
  let sum = 0;
  for (const character of cluster) sum += graphemeWidth(character);
  return sum;
}

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
const begins = late(() => /^(?:[\p{L}\p{N}\p{P}](?<![\u1100-\u11ff])|\p{Extended_Pictographic})/u);
/** What may end a character: no joiner, no leading consonant of Hangul, no half of a flag. */
const ends = late(
  () => /(?:[\p{L}\p{N}\p{P}\p{M}](?<![\u1100-\u115f])|\p{Extended_Pictographic})$/u,
);

function meetAt(text: string, at: number): boolean {
  const isWhole = !isLowSurrogate(text.charCodeAt(at));
  return isWhole && begins().test(text.slice(at, at + 2)) && ends().test(text.slice(at - 2, at));
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
