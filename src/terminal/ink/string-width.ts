import { displayWidth } from '../width.js';

// eslint-disable-next-line no-control-regex
const sgr = /\x1b\[[\d;:]*m/g;

/**
 * Stands in for the package string-width in what Ink imports (scripts/bundle.mjs). That one makes
 * the set of all emoji and a segmenter when it is loaded: 14 ms and 9 ms on Node 20, a third of the
 * time to the first frame, in which there is none. The widths are the same.
 */
export default function stringWidth(text: string): number {
  return displayWidth(text.includes('\x1b') ? text.replace(sgr, '') : text);
}
