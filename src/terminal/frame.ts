/** A piece of a line: a text, and the name of its look. */
export type Span = { readonly text: string; readonly look?: string | undefined };

export type Line = readonly Span[];

/** Lines at a place of the screen. They are cut to its width and height, and cover what is behind. */
export type Region = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly lines: readonly Line[];
};

/** The whole screen, as regions from back to front. */
export type Frame = readonly Region[];

/** What looks and texts are on this terminal. */
export type Appearance = {
  /** The SGR parameters of a look; '' is plain. */
  styleOf(look: string | undefined): string;
  /** The signs that are drawn for a text, each as wide as the one it stands for. */
  signsOf(text: string, look: string | undefined): string;
};

/** No colours, all signs. */
export const plainAppearance: Appearance = {
  styleOf: () => '',
  signsOf: (text) => text,
};

/** A line of a region at its place in a row of the screen. */
export type Piece = { readonly x: number; readonly width: number; readonly line: Line };

const emptyLine: Line = [];

/** What lies in each of the screen's first `rows` rows, from back to front. */
export function piecesByRow(frame: Frame, rows: number): Piece[][] {
  const pieces: Piece[][] = Array.from({ length: rows }, () => []);
  for (const { x, y, width, height, lines } of frame) {
    for (let index = 0; index < height; index++) {
      pieces[y + index]?.push({ x, width, line: lines[index] ?? emptyLine });
    }
  }
  return pieces;
}

/** Whether two rows are made of the same lines at the same places, without a look at their texts. */
export function isSameRow(one: readonly Piece[], other: readonly Piece[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ x, width, line }, index) => {
      const piece = other[index];
      return piece?.line === line && piece.x === x && piece.width === width;
    })
  );
}
