import type { IBufferCell, Terminal } from '@xterm/headless';

export type PictureTheme = {
  background: string;
  foreground: string;
  /** The sixteen named colours, 0–15. */
  palette: readonly string[];
};

export const darkTheme: PictureTheme = {
  background: '#0d1117',
  foreground: '#c9d1d9',
  palette: [
    ...['#484f58', '#ff7b72', '#3fb950', '#d29922', '#58a6ff', '#bc8cff', '#39c5cf', '#b1bac4'],
    ...['#6e7681', '#ffa198', '#56d364', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#ffffff'],
  ],
};

const cellWidth = 8.4;
const cellHeight = 18;
const padding = 12;

type Look = { fill: string; back: string | undefined; attributes: string };
type Run = Look & { column: number; width: number; text: string };

/**
 * The screen of a terminal as SVG text: a rectangle for each coloured background and one stretched
 * text for each run of equal looks, so that columns align whatever monospace font draws it.
 */
export function renderPicture(terminal: Terminal, title: string, theme = darkTheme): string {
  const width = terminal.cols * cellWidth + 2 * padding;
  const height = terminal.rows * cellHeight + 2 * padding;
  const rows = Array.from({ length: terminal.rows }, (_, row) => runsOf(terminal, row, theme));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${round(height)}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${theme.background}"/>`,
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" xml:space="preserve">`,
    ...rows.flatMap((runs, row) => runs.map((run) => drawn(run, row))),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

function runsOf(terminal: Terminal, row: number, theme: PictureTheme): Run[] {
  const buffer = terminal.buffer.active;
  const line = buffer.getLine(buffer.viewportY + row);
  const runs: Run[] = [];
  for (let column = 0; column < terminal.cols; column++) {
    const cell = line?.getCell(column);
    if (!cell || cell.getWidth() === 0) continue;
    const look = lookOf(cell, theme);
    const text = cell.getChars() || ' ';
    const last = runs.at(-1);
    // A wide character stands alone: fonts do not draw it two columns wide by themselves.
    if (
      last &&
      cell.getWidth() === 1 &&
      isSameLook(last, look) &&
      last.text.length === last.width
    ) {
      last.text += text;
      last.width++;
    } else {
      runs.push({ ...look, column, width: cell.getWidth(), text });
    }
  }
  return runs.filter((run) => run.back !== undefined || run.text.trim() !== '');
}

function lookOf(cell: IBufferCell, theme: PictureTheme): Look {
  const fore = cell.isFgDefault() ? undefined : colour(cell.isFgRGB(), cell.getFgColor(), theme);
  const back = cell.isBgDefault() ? undefined : colour(cell.isBgRGB(), cell.getBgColor(), theme);
  const isInverse = cell.isInverse() !== 0;
  const attributes = [
    cell.isBold() ? ' font-weight="bold"' : '',
    cell.isItalic() ? ' font-style="italic"' : '',
    cell.isUnderline() ? ' text-decoration="underline"' : '',
    cell.isDim() ? ' opacity="0.6"' : '',
  ].join('');
  return {
    fill: isInverse ? (back ?? theme.background) : (fore ?? theme.foreground),
    back: isInverse ? (fore ?? theme.foreground) : back,
    attributes,
  };
}

function colour(isRgb: boolean, value: number, theme: PictureTheme): string {
  if (isRgb) return `#${value.toString(16).padStart(6, '0')}`;
  const named = theme.palette[value];
  if (named !== undefined) return named;
  if (value >= 232) return rgb([value, value, value].map((gray) => (gray - 232) * 10 + 8));
  // The 6×6×6 cube of the 256 colours.
  const index = value - 16;
  const levels = [Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6];
  return rgb(levels.map((level) => (level === 0 ? 0 : level * 40 + 55)));
}

function rgb(parts: number[]): string {
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

function isSameLook(one: Look, other: Look): boolean {
  return one.fill === other.fill && one.back === other.back && one.attributes === other.attributes;
}

function drawn(run: Run, row: number): string {
  const x = padding + run.column * cellWidth;
  const y = padding + row * cellHeight;
  const width = run.width * cellWidth;
  const back =
    run.back === undefined
      ? ''
      : `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${cellHeight}" fill="${run.back}"/>`;
  const text =
    run.text.trim() === ''
      ? ''
      : `<text x="${round(x)}" y="${round(y + 13.5)}" textLength="${round(width)}" lengthAdjust="spacingAndGlyphs" fill="${run.fill}"${run.attributes}>${escape(run.text)}</text>`;
  return back + text;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
