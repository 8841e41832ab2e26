import type { RecordRow } from '../../panes/opening.js';
import { wrapText } from '../../terminal/wrap.js';
import type { RecordView } from '../model/views.js';
import { recordLines, sectionLines } from './record.js';
import { plainText, type TextLine } from './text-line.js';

/** The lines of a record; what is drawn, scrolled and searched are the same ones. */
export type RecordLayout = {
  lines: readonly TextLine[];
  texts: readonly string[];
  /** A value is not shown to its end. */
  isFolded: boolean;
};

type Known = RecordLayout & { width: number; unfolded: boolean };

const layouts = new WeakMap<readonly RecordRow[], Known>();

/** Lays a record out, or finds it as it was: a megabyte takes longer than a key may. */
export function layOutRecord(view: RecordView, width: number): RecordLayout {
  const { rows, unfolded } = view;
  const known = layouts.get(rows);
  if (known?.width === width && known.unfolded === unfolded) return known;
  const lines = linesOf(view, width);
  const isFolded = lines.some((line) => line.some((piece) => piece.isFold));
  const layout = { width, unfolded, lines, texts: lines.map(plainText), isFolded };
  layouts.set(rows, layout);
  return layout;
}

function linesOf({ rows, sections, unfolded }: RecordView, width: number): TextLine[] {
  if (rows.length > 0) {
    return [...sectionLines(sections, width), ...recordLines(rows, width, unfolded)];
  }
  return wrapText('It is no longer there.', width).map((text) => [{ text, look: 'muted' }]);
}
