import { displayWidth } from '../../terminal/width.js';
import type { Match } from '../model/search.js';
import type { Look, Theme } from '../theme.js';

export type Piece = {
  text: string;
  look?: Look | undefined;
  /** It stands for what is folded away. */
  isFold?: true;
};

/** A line that is laid out but not painted: of 50,000 lines only those in view are. */
export type TextLine = readonly Piece[];

export function plainText(line: TextLine): string {
  return line.map(({ text }) => text).join('');
}

export type Marks = {
  matches?: readonly Match[];
  /** The match that the reader is at. */
  current?: Match | undefined;
  /** The cursor is on the line. */
  isChosen?: boolean;
};

/** A line of exactly `width` columns, with its matches, where the cursor is on it as the chosen one. */
export function drawTextLine(
  theme: Theme,
  line: TextLine,
  width: number,
  { matches = [], current, isChosen = false }: Marks = {},
): string {
  const text = plainText(line);
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(text)));
  // The match that the reader is at shows best where the cursor is.
  if (isChosen && !(current && matches.includes(current))) {
    return theme.paint('selected', text + blanks);
  }
  const pieces = matches.reduce(
    (parts, match) => marked(parts, match, match === current ? 'selected' : 'match'),
    line,
  );
  return pieces.map((piece) => theme.paint(piece.look, piece.text)).join('') + blanks;
}

/** The pieces with what lies between start and end of the line in another look. */
function marked(line: TextLine, { start, end }: Match, look: Look): TextLine {
  let at = 0;
  return line.flatMap((piece) => {
    const { text } = piece;
    const [from, to] = [start - at, end - at].map((place) => Math.max(0, place));
    at += text.length;
    return [
      { ...piece, text: text.slice(0, from) },
      { text: text.slice(from, to), look },
      { ...piece, text: text.slice(to) },
    ].filter((part) => part.text !== '');
  });
}
