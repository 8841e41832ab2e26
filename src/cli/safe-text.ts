import { exactJson } from '../core/exact-json.js';
import { safeBlock } from '../terminal/sanitise.js';
import { lineWidth, saysAsciiOnly } from '../terminal/support.js';
import { displayWidth, takeColumns, truncate, wrapText } from '../terminal/width.js';
import { toAscii } from '../ui/theme.js';

/**
 * A text that may hold names and messages of the database, for a terminal: without control and
 * escape sequences, whole, with its line breaks.
 */
export function safeText(text: string): string {
  return safeBlock(text, { limit: Number.POSITIVE_INFINITY });
}

/**
 * JSON leaves DEL and the C1 controls as they are, which some terminals obey, and the marks
 * that turn the direction of a line.
 */
export function safeJson(value: unknown, indent?: number): string {
  return exactJson(value, indent).replace(
    /[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

type Stream = { isTTY?: boolean; columns?: number };

/** A text for people as it goes to stdout or stderr: no line wider than that, in ASCII where the locale has no more. */
export function plainText(text: string, stream: Stream = process.stdout): string {
  const { env } = process;
  const width = lineWidth(env, stream);
  const fitting = width === undefined ? text : fitText(text, width);
  return saysAsciiOnly(env, stream) ? toAscii(fitting) : fitting;
}

/** Columns that a line of a report may have; undefined: it goes where lines have no end, as into a file. */
export function reportWidth(): number | undefined {
  return lineWidth(process.env, process.stdout);
}

/**
 * Wraps the lines that are too wide, each under its own beginning: behind the gap that parts a name from what is
 * said of it, else behind its indent.
 */
function fitText(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => (displayWidth(line) <= width ? [line] : fitLine(line, width)))
    .join('\n');
}

function fitLine(line: string, width: number): string[] {
  const [indent = ''] = /^ */.exec(line) ?? [];
  const [named = indent] = /^ *\S(?:.*?\S)?(?: {2,}|: )(?=\S)/.exec(line) ?? [];
  const head = displayWidth(named) <= width / 2 ? named : indent.slice(0, width / 2);
  const hang = ' '.repeat(displayWidth(head));
  const rest = wrapText(line.slice(head.length).trimStart(), width - hang.length);
  return rest.map((each, index) => (index === 0 ? head : hang) + each);
}

const goesOn = ' \\';

/**
 * A command for the shell in lines of at most `width` columns, which a shell reads as the one line: it goes on behind
 * a backslash, or within quotes where the SQL has a blank.
 */
export function shellLines(command: string, width: number): string[] {
  const lines: string[] = [];
  for (let rest = command, quotes = noQuotes, indent = ''; ;) {
    const room = width - indent.length;
    if (displayWidth(rest) <= room) return [...lines, indent + rest];
    const most = takeColumns(rest, Math.max(6, room - goesOn.length)).length;
    const places = breaksOf(rest, quotes);
    const last = places.findLast(({ at, kind }) => at > 0 && at <= most && kind !== 'inside');
    const inside = places.findLast(({ at, kind }) => at > 0 && at < most && kind === 'inside');
    if (last) {
      lines.push(indent + rest.slice(0, last.at) + (last.kind === 'word' ? goesOn : ''));
      rest = rest.slice(last.at + 1);
      quotes = last.quotes;
      indent = last.kind === 'word' ? '  ' : '';
    } else if (inside) {
      const quote = inside.quotes.isQuoted ? "'" : '';
      lines.push(`${indent}${rest.slice(0, inside.at)}${quote}\\`);
      rest = quote + rest.slice(inside.at);
      quotes = { ...inside.quotes, isQuoted: false };
      indent = '';
    } else return [...lines, indent + rest];
  }
}

/** Within quotes of the shell, and there within those of SQL. */
type Quotes = { isQuoted: boolean; isLiteral: boolean };

const noQuotes: Quotes = { isQuoted: false, isLiteral: false };

/** `word`: a blank between two words. `blank`: one of the SQL within quotes, outside of its own. `inside`: of a word. */
type Break = { at: number; kind: 'word' | 'blank' | 'inside'; quotes: Quotes };

function breaksOf(command: string, start: Quotes): Break[] {
  const places: Break[] = [];
  let { isQuoted, isLiteral } = start;
  for (let at = 0; at < command.length; at += 1) {
    const sign = command.charAt(at);
    if (isQuoted && command.startsWith("'\\''", at)) {
      isLiteral = !isLiteral;
      at += 3;
      continue;
    }
    const kind = sign !== ' ' ? 'inside' : !isQuoted ? 'word' : isLiteral ? 'inside' : 'blank';
    const isHalf = sign >= '\udc00' && sign <= '\udfff';
    if (!isHalf) places.push({ at, kind, quotes: { isQuoted, isLiteral } });
    if (sign === "'") isQuoted = !isQuoted;
    else if (isQuoted && sign === '"') isLiteral = !isLiteral;
  }
  return places;
}

const barColumns = 20;

/** One line on the terminal that is drawn anew, without its end: whatever else is written takes its place. */
export class ProgressBar {
  readonly #stream: Stream & { write(text: string): unknown };
  #isDrawn = false;

  constructor(stream: Stream & { write(text: string): unknown } = process.stderr) {
    this.#stream = stream;
  }

  get isPossible(): boolean {
    return this.#stream.isTTY === true && process.env.TERM !== 'dumb';
  }

  /** @param share of the work, 0..1; undefined: nobody knows */
  draw(line: string, share: number | undefined): void {
    const filled = Math.round(barColumns * Math.min(Math.max(share ?? 0, 0), 1));
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)} `;
    // A line that wraps could not be taken back.
    const room = Math.max(0, (this.#stream.columns ?? 80) - 1);
    const beside = share !== undefined && displayWidth(bar + line) <= room ? bar : '';
    const text = beside + truncate(line, room - displayWidth(beside));
    const plain = text.replaceAll('█', '#').replaceAll('░', '.');
    const shown = saysAsciiOnly(process.env, this.#stream) ? toAscii(plain) : text;
    this.#stream.write(`\r\x1b[K${shown}`);
    this.#isDrawn = true;
  }

  clear(): void {
    if (this.#isDrawn) this.#stream.write('\r\x1b[K');
    this.#isDrawn = false;
  }
}
