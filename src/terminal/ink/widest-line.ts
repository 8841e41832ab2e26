import { displayWidth } from '../width.js';

// eslint-disable-next-line no-control-regex
const sgr = /\x1b\[[\d;:]*m/g;

/** Columns of a line without its colours. */
export function plainWidth(line: string): number {
  return displayWidth(line.includes('\x1b') ? line.replace(sgr, '') : line);
}

/**
 * Stands in for the package widest-line inside Ink in the shipped bundle. That one segments every
 * line with a box character into graphemes, 2 µs each, at each frame.
 */
export default function widestLine(text: string): number {
  let widest = 0;
  for (const line of text.split('\n')) widest = Math.max(widest, plainWidth(line));
  return widest;
}
