import type { Frame, Line, Painter, Region } from '../../terminal/painter.js';
import type { Look } from '../theme.js';

/** Milliseconds between two announcements of text that changes by itself, as progress does. */
const calm = 3000;

/** What is focused: a pane, or the view or dialog in front. */
type Box = {
  title: string;
  /** The lines inside of it, as text. */
  lines: readonly string[];
  /** Its lines up to the names of the columns; undefined where it is no table. */
  heading: number | undefined;
  /** The line under the cursor. */
  chosen: string | undefined;
  foot: string;
};

/**
 * For screen readers, and for terminals that cannot be painted: prints what changes in plain lines. A view that gets the
 * focus is printed with its title: of a table the heading and the row under the cursor, of anything else all lines. After
 * that, only what is new: another row, a message, an alarm. Ctrl-L prints all of the focused view.
 */
export class LinearPainter implements Painter {
  #box: Box | undefined;
  #bottom = '';
  #alarm = '';
  #toldAt = 0;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  paint(frame: Frame, { rows }: { rows: number }, isAnew: boolean): string {
    const told = [
      ...this.#alarms(frame),
      ...this.#focused(frame, isAnew),
      ...this.#last(frame, rows),
    ];
    return told.map((line) => `${line}\r\n`).join('');
  }

  /** The alarms and badges of the header: what is wrong, or not live. */
  #alarms(frame: Frame): string[] {
    const spans = frame.filter(({ y }) => y === 0).flatMap(({ lines }) => lines.slice(0, 2).flat());
    const alarm = spans
      .filter((span) => has(span, 'alarm', 'badge'))
      .map(({ text }) => text.trim());
    const text = alarm.join('; ');
    // A message in which only numbers change is printed once.
    const isSame = withoutDigits(text) === withoutDigits(this.#alarm);
    this.#alarm = text;
    return isSame || text === '' ? [] : [text];
  }

  #focused(frame: Frame, isAnew: boolean): string[] {
    const region = frame.findLast(isFocused) ?? frame.at(-1);
    const before = this.#box;
    if (!region) return [];
    const box = boxOf(region);
    const isOther =
      box.title !== before?.title || (box.heading === undefined) !== (before.heading === undefined);
    if (isAnew || isOther) {
      this.#box = box;
      this.#toldAt = this.#now();
      return wholeOf(box, isAnew && !isOther);
    }
    const isMoved =
      box.chosen !== undefined && withoutDigits(box.chosen) !== withoutDigits(before.chosen ?? '');
    const isTyped = box.heading === undefined && box.chosen === undefined;
    if (!isMoved && !(isTyped && this.#now() - this.#toldAt >= calm)) return [];
    const known = new Set(before.lines);
    this.#box = box;
    this.#toldAt = this.#now();
    if (isMoved) return [box.chosen ?? ''];
    return box.lines.filter((line) => line !== '' && !known.has(line));
  }

  /** The last line, when it is a message or a prompt: no key bar. */
  #last(frame: Frame, rows: number): string[] {
    const line = frame.findLast(({ y, height }) => y === rows - 1 && height === 1)?.lines[0] ?? [];
    const text = line.some((span) => has(span, 'key')) ? '' : textOf(line);
    const isSame = text === this.#bottom;
    this.#bottom = text;
    return isSame || text === '' ? [] : [text];
  }
}

function isFocused({ lines }: Region): boolean {
  return lines[0]?.[0]?.text.startsWith('┏') === true;
}

function boxOf({ lines }: Region): Box {
  const [first = [], ...inside] = lines;
  const last = inside.pop() ?? [];
  const names = first.filter((span) => has(span, 'focus', 'title'));
  const heading = inside.findIndex((line) => line.some((span) => has(span, 'heading')));
  const chosen = inside.find((line) => line.some((span) => has(span, 'selected')));
  return {
    title: textOf(names.length > 0 ? names.flatMap((name) => [name, { text: ' ' }]) : first),
    lines: inside.map(textOf),
    heading: heading < 0 ? undefined : heading,
    chosen: chosen && textOf(chosen),
    foot: textOf(last),
  };
}

/** The lines that announce a box: all of them; of a table, unless all is asked for, its heading and the row under the cursor. */
function wholeOf({ title, lines, heading, chosen, foot }: Box, isAsked: boolean): string[] {
  const body =
    heading === undefined || isAsked
      ? lines
      : [...lines.slice(0, heading + 1), chosen ?? lines[heading + 1] ?? ''];
  return [title, ...body, foot].filter((line) => line !== '');
}

/** A line as text to be read out: without borders and bars, cells separated by commas. */
function textOf(line: Line): string {
  return line
    .map(({ text }) => text)
    .join('')
    .replace(/[\u2500-\u259f]+/g, '  ')
    .trim()
    .replace(/ {2,}/g, ', ');
}

function withoutDigits(text: string): string {
  return text.replace(/\d+/g, '#');
}

function has({ look }: { look?: string | undefined }, ...looks: Look[]): boolean {
  return looks.some((each) => each === look);
}
