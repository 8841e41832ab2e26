import stringWidth from 'string-width';

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

// Measuring a cluster costs about a microsecond; a screen repeats the same few hundred.
const widths = new Map<string, number>();
const maxWidths = 4096;

/** The grapheme clusters of a text, in order: what a reader calls characters. */
export function* graphemes(text: string): Generator<string> {
  for (const { segment } of segmenter.segment(text)) yield segment;
}

/** Columns one grapheme cluster takes, as Ink's layout counts them (string-width). */
export function graphemeWidth(cluster: string): number {
  let width = widths.get(cluster);
  if (width === undefined) {
    width = stringWidth(cluster);
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
