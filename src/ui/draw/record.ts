import { withSeparators } from '../../shared/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit, truncate } from '../../terminal/width.js';
import type { RecordRow } from '../../panes/opening.js';
import type { NodeContent, RecordNode } from '../model/record-tree.js';
import type { Look } from '../theme.js';
import { layOutSegments } from './segments.js';
import type { Piece, TextLine } from './text-line.js';

/** Lines of one text while it is folded, and how many of its lines are counted then. */
export const foldedLines = 8;
const countedLines = 100;
/** Nobody scrolls further in one value. */
const mostLines = 50_000;

const nameColumn = { least: 8, most: 30 };
const indent = 2;

export type RecordColumns = { name: number; width: number };

/** As wide as the longest name needs, but never more than a third. */
export function recordColumns(rows: readonly RecordRow[], width: number): RecordColumns {
  const names = rows.flatMap((row) => Object.keys(row).map((name) => displayWidth(safeLine(name))));
  const room = Math.min(nameColumn.most, Math.floor(width / 3));
  const name = Math.max(nameColumn.least, Math.min(room, Math.max(0, ...names))) + 2;
  return { name, width };
}

/** The lines of a long text, however many were asked for by now. */
export type LinesOf = (key: string, text: string, columns: number) => Iterable<string>;

/** A part of a record: its name on the left, its value wrapped beside it, made as far as it is asked for. */
export function* nodeLines(
  node: RecordNode,
  { name: column, width }: RecordColumns,
  linesOf: LinesOf,
): Generator<TextLine, void, undefined> {
  const { content } = node;
  switch (content.kind) {
    case 'blank':
      yield [];
      return;
    case 'title':
      yield layOutSegments([{ text: content.text, look: 'title' }], width);
      return;
    case 'made': {
      const segments = content.line.map(({ text, tone, columns }) => ({
        text: columns === undefined ? safeLine(text) : fit(safeLine(text), columns),
        look: tone,
      }));
      yield layOutSegments(segments, width);
      return;
    }
    default: {
      const start = startOf(node, { name: column, width });
      const room = Math.max(1, width - displayWidth(start.map(({ text }) => text).join('')));
      yield* beside(start, valueLines(node.key, content, room, linesOf));
    }
  }
}

/** A field has its name in the column of names; a member of its JSON stands below its field. */
function startOf({ name, depth, content }: RecordNode, columns: RecordColumns): Piece[] {
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

type ValueLine = { text: string; look?: Look | undefined; isFold?: true };

function* valueLines(
  key: string,
  content: Extract<NodeContent, { kind: 'text' | 'plain' | 'group' }>,
  room: number,
  linesOf: LinesOf,
): Generator<ValueLine, void, undefined> {
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

function groupLine(
  { isList, count, isOpen }: Extract<NodeContent, { kind: 'group' }>,
  room: number,
): ValueLine {
  const noun = isList ? 'item' : 'member';
  const size = `${withSeparators(count)} ${noun}${count === 1 ? '' : 's'}`;
  if (isOpen) return { text: truncate(size, room), look: 'muted' };
  const hidden = isList ? `[… ${size}]` : `{… ${size}}`;
  return { text: truncate(hidden, room), look: 'accent', isFold: true };
}

function* openLines(lines: Iterable<string>, room: number): Generator<ValueLine, void, undefined> {
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

/** The beginning, and how much more there is: counted as far as that takes no time. */
function* folded(
  text: string,
  lines: Iterable<string>,
  room: number,
): Generator<ValueLine, void, undefined> {
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
  start: readonly Piece[],
  lines: Iterable<ValueLine>,
): Generator<TextLine, void, undefined> {
  const blank = [{ text: ' '.repeat(displayWidth(start.map(({ text }) => text).join(''))) }];
  let isFirst = true;
  for (const line of lines) {
    yield [...(isFirst ? start : blank), line];
    isFirst = false;
  }
}
