import { withSeparators } from '../../core/format/number.js';
import { safeLine, safeLines } from '../../terminal/sanitise.js';
import { displayWidth, fit, truncate, wrapText } from '../../terminal/width.js';
import type { SummaryLine } from '../../panes/contract/column.js';
import type { RecordRow, DetailSection } from '../../panes/contract/opening.js';
import {
  canBeChosen,
  type NodeContent,
  type RecordNode,
  recordNodes,
  type RecordFolds,
} from '../model/record-tree.js';
import {
  fitSegments,
  blank,
  lineWidth,
  type Segment,
  type Span,
  type StyledLine,
  plainText,
  styled,
} from './styled-line.js';

/** Lines of one text while it is folded, and how many of its lines are counted then. */
const foldedLines = 8;
const countedLines = 100;
/** Nobody scrolls further in one value. */
const mostLines = 50_000;

const nameColumn = { least: 8, most: 30 };
const indent = 2;

export type RecordColumns = { name: number; width: number };

/** As wide as the longest name needs, but never more than a third. */
function recordColumns(rows: readonly RecordRow[], width: number): RecordColumns {
  const names = rows.flatMap((row) => Object.keys(row).map((name) => displayWidth(safeLine(name))));
  const room = Math.min(nameColumn.most, Math.floor(width / 3));
  const name = Math.max(nameColumn.least, Math.min(room, Math.max(0, ...names))) + 2;
  return { name, width };
}

/** The wrapped lines of a long text, made as they are iterated. */
export type LinesOf = (key: string, text: string, columns: number) => Iterable<string>;

/** The lines of one part of a record: its name on the left, its value wrapped beside it. Made as they are iterated. */
function* nodeLines(
  node: RecordNode,
  { name: column, width }: RecordColumns,
  linesOf: LinesOf,
): Generator<StyledLine, void, undefined> {
  const { content } = node;
  switch (content.kind) {
    case 'blank':
      yield [];
      return;
    case 'title':
      yield fitSegments([{ text: content.text, look: 'title' }], width);
      return;
    case 'made': {
      yield fitSegments(madeSegments(content.line, width), width);
      return;
    }
    default: {
      const start = startOf(node, { name: column, width });
      const room = Math.max(1, width - lineWidth(start));
      const isLink = node.link !== undefined && room > leastForLink;
      const values = valueLines(node.key, content, isLink ? room - 2 : room, linesOf);
      yield* beside(start, isLink ? linked(values) : values);
    }
  }
}

/** Room for a text at the end of a made line: the same for all lines of a section, so that they align. */
const lastText = 14;

/** The pieces of a made line; where it is too narrow, those that can give up columns do. */
function madeSegments(line: SummaryLine, width: number): Segment[] {
  const wanted = line.map(({ text, columns }, at) => {
    return columns ?? (at === line.length - 1 ? lastText : displayWidth(safeLine(text)));
  });
  let over = wanted.reduce((sum, columns) => sum + columns + 2, -2) - width;
  return line.map(({ text, tone, columns, least = columns, span }) => {
    if (columns === undefined || least === undefined) return { text: safeLine(text), look: tone };
    const given = Math.max(least, columns - Math.max(0, over));
    over -= columns - given;
    return { text: span ? barText(span, given) : fit(safeLine(text), given), look: tone };
  });
}

/** At least one sign of a bar is seen. */
function barText({ from, until }: { from: number; until: number }, columns: number): string {
  const first = Math.min(columns - 1, Math.max(0, Math.floor(from * columns)));
  const length = Math.max(1, Math.floor(until * columns) - first);
  return `${' '.repeat(first)}${'█'.repeat(Math.min(columns - first, length))}`.padEnd(columns);
}

/** A field has its name in the column of names; a member of its JSON stands below its field. */
function startOf({ name, depth, content }: RecordNode, columns: RecordColumns): Span[] {
  const safe = safeLine(name);
  const fold = content.kind === 'group' ? (content.isOpen ? '▾ ' : '▸ ') : '';
  if (depth === 0) {
    return [{ text: fit(safe, columns.name), look: 'muted' }, { text: fold }];
  }
  const room = Math.max(4, columns.width - columns.name);
  const blanks = ' '.repeat(columns.name + Math.min(indent * depth, Math.floor(room / 3)));
  const label = truncate(`${safe}: `, Math.floor(room / 3));
  return [{ text: blanks }, { text: fold === '' ? '  ' : fold }, { text: label, look: 'muted' }];
}

function* valueLines(
  key: string,
  content: Extract<NodeContent, { kind: 'text' | 'plain' | 'group' }>,
  room: number,
  linesOf: LinesOf,
): Generator<Span, void, undefined> {
  switch (content.kind) {
    case 'group':
      yield groupLine(content, room);
      return;
    case 'plain':
      yield {
        text: truncate(safeLine(content.text), room),
        look: content.isNothing ? 'muted' : undefined,
      };
      return;
    case 'text':
      yield* content.isOpen
        ? openLines(linesOf(key, content.text, room), room)
        : folded(content.text, linesOf(key, content.text, room), room);
  }
}

const leastForLink = 8;

/** What Enter leads to is marked. */
function* linked(lines: Iterable<Span>): Generator<Span, void, undefined> {
  let isFirst = true;
  for (const line of lines) {
    yield { ...line, text: isFirst ? `${line.text} →` : line.text, look: 'accent' };
    isFirst = false;
  }
}

function groupLine(
  { isList, count, isOpen }: Extract<NodeContent, { kind: 'group' }>,
  room: number,
): Span {
  const noun = isList ? 'item' : 'member';
  const size = `${withSeparators(count)} ${noun}${count === 1 ? '' : 's'}`;
  if (isOpen) return { text: truncate(size, room), look: 'muted' };
  const hidden = isList ? `[… ${size}]` : `{… ${size}}`;
  return { text: truncate(hidden, room), look: 'accent', isFold: true };
}

function* openLines(lines: Iterable<string>, room: number): Generator<Span, void, undefined> {
  let count = 0;
  for (const text of lines) {
    if (++count > mostLines) {
      yield {
        text: truncate('… the rest is left out; an export has all of it', room),
        look: 'warning',
      };
      return;
    }
    yield { text };
  }
}

/** The first lines of a folded text, and how many follow. Counting stops at `countedLines`: a text may have megabytes. */
function* folded(
  text: string,
  lines: Iterable<string>,
  room: number,
): Generator<Span, void, undefined> {
  const start: string[] = [];
  for (const line of lines) if (start.push(line) >= countedLines) break;
  const isShort = start.length <= foldedLines + 1;
  for (const line of isShort ? start : start.slice(0, foldedLines)) yield { text: line };
  if (isShort) return;
  const isMore = start.length >= countedLines;
  const rest = `${start.length - foldedLines}${isMore ? ' or more' : ''} lines more`;
  const all = isMore ? `, ${withSeparators(text.length)} characters in all` : '';
  yield { text: truncate(`… ${rest}${all}`, room), look: 'accent', isFold: true };
}

function* beside(
  start: readonly Span[],
  lines: Iterable<Span>,
): Generator<StyledLine, void, undefined> {
  const below = [blank(lineWidth(start))];
  let isFirst = true;
  for (const line of lines) {
    yield [...(isFirst ? start : below), line];
    isFirst = false;
  }
}

/** A line, and the part of the record that it belongs to. */
export type RecordLine = { line: StyledLine; node: RecordNode | undefined };

/**
 * The lines of a record, laid out only as far as somebody looks: two megabytes of wide characters would take seconds.
 * Drawing, scrolling and searching use the same lines.
 */
export class RecordLayout {
  readonly #lines: LazyList<RecordLine>;
  readonly #texts: string[] = [];

  constructor(lines: Iterable<RecordLine>) {
    this.#lines = new LazyList(lines);
  }

  /** The lines laid out so far. */
  get lines(): readonly RecordLine[] {
    return this.#lines.items;
  }

  /** Their texts. */
  get texts(): readonly string[] {
    for (let at = this.#texts.length; at < this.lines.length; at++) {
      this.#texts.push(plainText(this.lines[at]?.line ?? []));
    }
    return this.#texts;
  }

  /** Whether these are all. */
  get isWhole(): boolean {
    return this.#lines.isWhole;
  }

  /** Whether something is folded in the lines laid out so far. */
  get isFolded(): boolean {
    return this.lines.some(({ line }) => line.some(({ isFold }) => isFold));
  }

  /** Lays out until there are so many lines, or all. */
  grow(count: number): void {
    this.#lines.gather(count);
  }

  /** The line that is nearest to a wanted one and can be chosen: in its direction from where the cursor is, else back. */
  choosable(wanted: number, from: number): number {
    const step = wanted < from ? -1 : 1;
    const search = (by: number) => {
      for (let at = wanted; at >= 0 && at < this.lines.length; at += by) {
        const node = this.lines[at]?.node;
        if (node === undefined || canBeChosen(node)) return at;
      }
      return undefined;
    };
    return search(step) ?? search(-step) ?? wanted;
  }

  /** Whether there is something to fold or to unfold in a part. */
  isFoldable({ content, key }: RecordNode): boolean {
    if (content.kind !== 'text') return content.kind === 'group';
    const last = this.lines[this.lineOf(key) + foldedLines];
    if (last?.node?.key !== key) return false;
    return !content.isOpen ? last.line.some(({ isFold }) => isFold) : true;
  }

  /** The heading above the first line that can be chosen comes into view with it. */
  withHeading(top: number, index: number): number {
    const above = this.lines[index - 1]?.node;
    return above && !canBeChosen(above) ? Math.min(top, index - 1) : top;
  }

  placeOf(index: number): LinePlace | undefined {
    const key = this.lines[index]?.node?.key;
    return key === undefined ? undefined : { key, line: index - this.lineOf(key) };
  }

  /** Where a place of an earlier reading is now. */
  find(place: LinePlace | undefined): number | undefined {
    const first = place ? this.lineOf(place.key) : -1;
    return place && first >= 0 ? first + place.line : undefined;
  }

  /** The index of the first line of a part; -1: it is not laid out yet. */
  lineOf(key: string): number {
    return this.lines.findIndex(({ node }) => node?.key === key);
  }
}

/** A part of a record, and which of its lines. */
export type LinePlace = { key: string; line: number };

/** The line of the parent of a member of JSON. */
export function parentLine({
  node,
  layout,
}: {
  node: RecordNode | undefined;
  layout: RecordLayout;
}): number | undefined {
  if (!node || node.depth === 0) return undefined;
  const line = layout.lineOf(node.key.slice(0, node.key.lastIndexOf('/')));
  return line < 0 ? undefined : line;
}

/** What a record is laid out from. */
export type RecordContent = {
  rows: readonly RecordRow[];
  sections: readonly DetailSection[];
  folds: RecordFolds;
};

type Known = { width: number; folds: RecordFolds; layout: RecordLayout };
/** Long texts wrapped to a width stay wrapped when something else is folded. */
type Wrapped = { width: number; texts: Map<string, LazyList<string>> };

const layouts = new WeakMap<readonly RecordRow[], Known>();
const wrapped = new WeakMap<readonly RecordRow[], Wrapped>();

/** The layout of a record; one that was made before is used again. */
export function layOutRecord(view: RecordContent, width: number): RecordLayout {
  const { rows, folds } = view;
  const known = layouts.get(rows);
  if (known?.width === width && known.folds === folds) return known.layout;
  const layout = new RecordLayout(linesOf(view, width));
  layouts.set(rows, { width, folds, layout });
  return layout;
}

function* linesOf(
  { rows, sections, folds }: RecordContent,
  width: number,
): Generator<RecordLine, void, undefined> {
  if (rows.length === 0) {
    const lines = wrapText('It is no longer there.', width);
    yield* lines.map((text) => ({ line: styled(text, 'muted'), node: undefined }));
    return;
  }
  const columns = recordColumns(rows, width);
  const texts = wrappedTexts(rows, width);
  const wrap = (key: string, text: string, room: number) => {
    const known = texts.get(key) ?? new LazyList(drawable(text, room));
    texts.set(key, known);
    return known;
  };
  for (const node of recordNodes(rows, sections, folds)) {
    for (const line of nodeLines(node, columns, wrap)) yield { line, node };
  }
}

/** A character that is wider than the line is replaced by an ellipsis. */
function* drawable(text: string, room: number): Generator<string, void, undefined> {
  for (const line of safeLines(text, room)) yield truncate(line, room);
}

function wrappedTexts(rows: readonly RecordRow[], width: number): Wrapped['texts'] {
  const known = wrapped.get(rows);
  if (known?.width === width) return known.texts;
  const texts: Wrapped['texts'] = new Map();
  wrapped.set(rows, { width, texts });
  return texts;
}

/** A list that takes items from an iterable only when they are asked for, each once. */
export class LazyList<Item> implements Iterable<Item> {
  readonly items: Item[] = [];
  readonly #rest: Iterator<Item>;
  #isWhole = false;

  constructor(all: Iterable<Item>) {
    this.#rest = all[Symbol.iterator]();
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Takes items until there are so many, or all. */
  gather(count: number): void {
    while (this.items.length < count && !this.#isWhole) {
      const next = this.#rest.next();
      if (next.done === true) this.#isWhole = true;
      else this.items.push(next.value);
    }
  }

  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (let at = 0; ; at++) {
      this.gather(at + 1);
      const item = this.items[at];
      if (item === undefined) return;
      yield item;
    }
  }
}
