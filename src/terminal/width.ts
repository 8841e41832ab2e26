import { eastAsianWidth } from 'get-east-asian-width';
import { late } from '../core/values.js';

/** Made when it is needed: 9 ms, which the first frame does not. */
const segmenter = late(() => new Intl.Segmenter(undefined, { granularity: 'grapheme' }));

// Measuring a cluster costs about a microsecond; a screen repeats the same few hundred.
const widths = new Map<string, number>();
const maxWidths = 4096;

// Intl.Segmenter takes about 2 µs a cluster on Node 20, ten times the rest of a cell's work. Most
// code points are clusters of their own, by script; only what lies between them is segmented.
const follows = String.raw`[\p{M}\p{Grapheme_Extend}\p{Emoji_Modifier}\u200d\u0e33\u0eb3\u1160-\u11ff\ud7b0-\ud7fb]`;
const leads = String.raw`[\p{M}\p{Cf}\p{Cc}\p{Cs}\p{Grapheme_Extend}\p{Regional_Indicator}\p{Emoji_Modifier}]`;
const scripts = [
  'Latin',
  'Common',
  'Greek',
  'Cyrillic',
  'Han',
  'Hiragana',
  'Katakana',
  'Hebrew',
  'Arabic',
]
  .map((script) => String.raw`\p{Script=${script}}`)
  .join('');
const alone = String.raw`(?:\n|(?!${leads})[${scripts}\uac00-\ud7a3](?!${follows}))`;
// As all that know classes of Unicode below, made when a text needs it: together they take two milliseconds.
const aloneRun = late(() => new RegExp(`${alone}+`, 'uy'));
// After a joiner, a leading consonant of Hangul, or a sign that is written before what it belongs to
// (Grapheme_Cluster_Break=Prepend, which regular expressions do not know), nothing stands alone.
const joins = String.raw`[\u200d\u1100-\u115f\ua960-\ua97c\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]`;
const clusterRun = late(() => new RegExp(String.raw`(?:(?<=${joins})[^]|(?!${alone})[^])+`, 'uy'));

/** The grapheme clusters of a text, in order: what a reader calls characters. */
export function* graphemes(text: string): Generator<string, void, undefined> {
  let index = 0;
  const ofOne = aloneRun();
  while (index < text.length) {
    ofOne.lastIndex = index;
    const run = ofOne.exec(text)?.[0];
    if (run !== undefined) {
      yield* run;
      index += run.length;
    } else {
      const ofMany = clusterRun();
      ofMany.lastIndex = index;
      const clusters = ofMany.exec(text)?.[0] ?? text.slice(index);
      for (const { segment } of segmenter().segment(clusters)) yield segment;
      index += clusters.length;
    }
  }
}

/** Columns that one grapheme cluster takes. */
export function graphemeWidth(cluster: string): number {
  let width = widths.get(cluster);
  if (width === undefined) {
    width = widthOfCluster(cluster);
    if (widths.size >= maxWidths) widths.clear();
    widths.set(cluster, width);
  }
  return width;
}

/**
 * Whether a UTF-16 code unit is a whole character one column wide in every terminal: printable ASCII,
 * Latin, and the signs the console draws with (arrows, box drawing, blocks, Braille, punctuation).
 */
export function isOneColumn(unit: number): boolean {
  if (unit < 0x7f) return unit >= 0x20;
  if (unit < 0x300) return unit >= 0xa1 && unit !== 0xad;
  if (unit < 0x2010) return false;
  return (
    unit <= 0x2027 ||
    (unit >= 0x2030 && unit <= 0x205e) ||
    (unit >= 0x2190 && unit <= 0x22ff) ||
    unit === 0x23ce ||
    (unit >= 0x2500 && unit <= 0x25fc) ||
    (unit >= 0x2800 && unit <= 0x28ff) ||
    unit === 0xfffd
  );
}

/** Whether every code unit of the text is one column wide, so that its length is its width. */
export function isOneColumnText(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (!isOneColumn(text.charCodeAt(index))) return false;
  }
  return true;
}

const invisible = String.raw`\p{Default_Ignorable_Code_Point}\p{Control}\p{Format}\p{Nonspacing_Mark}\p{Enclosing_Mark}\p{Surrogate}`;
const firstVisible = late(() => new RegExp(`[^${invisible}]`, 'u'));
/** What every recommended emoji has at least one of; few other texts have any. */
const partOfEmoji = late(
  () => /[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\u20e3]/u,
);
const pictographs = late(() => /\p{Extended_Pictographic}/gu);
const keycap = /^[\d#*]\u20e3$/;
/** More is no emoji. */
const longestEmoji = 50;

/** All emoji that are recommended for interchange. Made when a text has one: it takes 14 ms. */
const emoji = late(() => new RegExp(String.raw`^\p{RGI_Emoji}$`, 'v'));

/**
 * Columns of one grapheme cluster, as terminals draw it and as the package string-width counts it:
 * nothing for what is invisible, two for emoji, else the width of its first character (East Asian
 * Width) and of what stands beside it.
 */
function widthOfCluster(cluster: string): number {
  const start = cluster.search(firstVisible());
  if (start < 0) return 0;
  if (partOfEmoji().test(cluster) && isEmoji(cluster)) return 2;
  const [first = 0, ...others] = Array.from(cluster.slice(start), codePoint);
  if (jamoOf(first)) return hangulWidth([first, ...others]);
  const beside = others.filter(takesColumns);
  return beside.reduce((sum, code) => sum + eastAsianWidth(code), eastAsianWidth(first));
}

function isEmoji(cluster: string): boolean {
  if (emoji().test(cluster)) return true;
  if (cluster.length > longestEmoji) return false;
  // Some are sent without the selector that makes them emoji.
  if (keycap.test(cluster)) return true;
  return cluster.includes('\u200d') && (cluster.match(pictographs())?.length ?? 0) >= 2;
}

/** Marks with a column of their own, and the half and full width forms. */
function takesColumns(code: number): boolean {
  return (code >= 0xff00 && code <= 0xffef) || /\p{Spacing_Mark}/u.test(String.fromCodePoint(code));
}

type Jamo = 'lead' | 'vowel' | 'tail';

function jamoOf(code: number): Jamo | undefined {
  if ((code >= 0x1100 && code <= 0x115f) || (code >= 0xa960 && code <= 0xa97c)) return 'lead';
  if ((code >= 0x1160 && code <= 0x11a7) || (code >= 0xd7b0 && code <= 0xd7c6)) return 'vowel';
  if ((code >= 0x11a8 && code <= 0x11ff) || (code >= 0xd7cb && code <= 0xd7fb)) return 'tail';
  return undefined;
}

/** Letters of Hangul that make a syllable are two columns together; others stand side by side. */
function hangulWidth(codes: readonly number[]): number {
  const shown = codes.filter((code) => firstVisible().test(String.fromCodePoint(code)));
  let width = 0;
  for (let index = 0; index < shown.length; index++) {
    const [lead = 0, vowel = 0, tail = 0] = shown.slice(index, index + 3);
    if (jamoOf(lead) === 'lead' && jamoOf(vowel) === 'vowel') {
      width += 2;
      index += jamoOf(tail) === 'tail' ? 2 : 1;
    } else {
      width += eastAsianWidth(lead);
    }
  }
  return width;
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** Which side of a column its text keeps to. */
export type Alignment = 'left' | 'right' | 'center';

/** Columns a text takes on the screen. The text holds no control sequences (see sanitise.ts). */
export function displayWidth(text: string): number {
  if (isOneColumnText(text)) return text.length;
  let width = 0;
  for (const cluster of graphemes(text)) width += graphemeWidth(cluster);
  return width;
}

/**
 * The longest start of a text that fits into `columns`; never half a wide character.
 * The result may be one column narrower than asked where a wide character did not fit.
 */
export function takeColumns(text: string, columns: number): string {
  if (columns <= 0) return '';
  // A column takes at least one code unit of a visible character, so this part decides.
  if (text.length <= columns && isOneColumnText(text)) return text;
  const start = text.slice(0, columns);
  if (isOneColumnText(start) && isOneColumnText(text.charAt(columns))) return start;
  // A part of a long text is enough, or wrapping a megabyte would look through all of it for each line.
  for (let size = 4 * columns + 64; ; size *= 2) {
    const part = text.slice(0, size);
    let width = 0;
    let taken = 0;
    for (const cluster of graphemes(part)) {
      width += graphemeWidth(cluster);
      if (width <= columns) {
        taken += cluster.length;
        continue;
      }
      // The last cluster of the part may go on behind it.
      if (taken + cluster.length < part.length) return text.slice(0, taken);
      break;
    }
    if (part.length === text.length) return text.slice(0, taken);
  }
}

/**
 * A text cut to `columns`, with a sign at its end wherever something was cut off. Use '~' as the sign
 * on a terminal without Unicode.
 */
export function truncate(text: string, columns: number, ellipsis = '…'): string {
  const whole = takeColumns(text, columns);
  if (whole.length === text.length) return text;
  if (columns <= 0) return '';
  return takeColumns(text, columns - displayWidth(ellipsis)) + ellipsis;
}

/** A text cut to `columns` in its middle: of what differs at its end, such as addresses, two thirds are the end. */
export function truncateMiddle(text: string, columns: number, ellipsis = '…'): string {
  if (takeColumns(text, columns).length === text.length || columns < 8) {
    return truncate(text, columns, ellipsis);
  }
  const room = columns - displayWidth(ellipsis);
  const start = takeColumns(text, Math.floor(room / 3));
  let left = room - displayWidth(start);
  let end = '';
  for (const cluster of [...graphemes(text)].reverse()) {
    left -= graphemeWidth(cluster);
    if (left < 0) break;
    end = cluster + end;
  }
  return start + ellipsis + end;
}

/** A text made exactly `columns` wide: cut with an ellipsis, or filled with spaces. */
export function fit(
  text: string,
  columns: number,
  align: Alignment = 'left',
  ellipsis = '…',
): string {
  if (columns <= 0) return '';
  const shown = truncate(text, columns, ellipsis);
  const space = columns - displayWidth(shown);
  if (space <= 0) return shown;
  if (align === 'right') return ' '.repeat(space) + shown;
  if (align === 'left') return shown + ' '.repeat(space);
  const before = Math.floor(space / 2);
  return ' '.repeat(before) + shown + ' '.repeat(space - before);
}

/**
 * A text broken into lines of at most `columns`, at spaces where there are any and else inside the
 * word. Line feeds of the text begin a new line. At most `maxLines` lines come back.
 */
export function wrapText(text: string, columns: number, maxLines = Infinity): string[] {
  const lines: string[] = [];
  if (columns <= 0) return lines;
  for (const paragraph of text.split('\n')) {
    let rest = paragraph;
    do {
      if (lines.length >= maxLines) return lines;
      const line = firstLine(rest, columns);
      lines.push(line.trimEnd());
      rest = rest.slice(line.length);
    } while (rest !== '');
  }
  return lines;
}

/** As {@link wrapText}; where there is more than so many lines, the last one ends with the sign of that. */
export function wrapWithin(text: string, columns: number, maxLines: number): string[] {
  const lines = wrapText(text, columns, maxLines + 1);
  const last = lines[maxLines - 1];
  if (lines.length <= maxLines || last === undefined) return lines.slice(0, Math.max(0, maxLines));
  return [...lines.slice(0, maxLines - 1), `${takeColumns(last, columns - 1)}…`];
}

/** The first line of a paragraph, with the spaces at which it was broken. */
function firstLine(text: string, columns: number): string {
  const fitting = takeColumns(text, columns);
  if (fitting.length === text.length) return text;
  // A wide character in a one-column box: it is drawn as it is and clipped by the painter.
  if (fitting === '') return String.fromCodePoint(text.codePointAt(0) ?? 0x20);
  if (text.charAt(fitting.length) === ' ') return fitting + spacesFrom(text, fitting.length);
  const space = fitting.lastIndexOf(' ');
  const onlyIndent = space <= 0 || displayWidth(fitting.slice(0, space).trim()) === 0;
  return onlyIndent ? fitting : fitting.slice(0, space + 1);
}

function spacesFrom(text: string, index: number): string {
  let end = index;
  while (text.charAt(end) === ' ') end++;
  return text.slice(index, end);
}
