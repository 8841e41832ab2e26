import { displayWidth } from '../width.js';

// eslint-disable-next-line no-control-regex
const sgr = /\x1b\[[\d;:]*m/g;

/** Of the texts of one frame, which are asked for several times: few, because they are long. */
const widths = new Map<string, number>();
const maxWidths = 64;

/** Columns of a line without its colours. */
export function plainWidth(line: string): number {
  return displayWidth(line.includes('\x1b') ? line.replace(sgr, '') : line);
}

/**
 * Stands in for the package widest-line inside Ink in the shipped bundle. That one segments every
 * line with a box character into graphemes, 2 µs each, at each frame.
 */
export default function widestLine(text: string): number {
  const known = widths.get(text);
  if (known !== undefined) return known;
  const widest = measure(text);
  if (widths.size >= maxWidths) widths.clear();
  widths.set(text, widest);
  return widest;
}

function measure(text: string): number {
  let widest = 0;
  for (const line of text.split('\n')) widest = Math.max(widest, plainWidth(line));
  return widest;
}
