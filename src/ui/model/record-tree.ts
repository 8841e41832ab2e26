import { ExactNumber, exactJson, parseExactJson } from '../../core/exact-json.js';
import { linkOf } from '../../panes/links.js';
import type { DetailSection, Opening, RecordRow } from '../../panes/contract/opening.js';
import type { SummaryLine } from '../../panes/contract/column.js';
import { formatTimestamp } from '../../core/format/time.js';

/** Which values are folded: all as `all` says (undefined: as at first), but the other way for those in `toggled`. */
export type RecordFolds = { all: 'folded' | 'open' | undefined; toggled: ReadonlySet<string> };

export const initialFolds: RecordFolds = { all: undefined, toggled: new Set() };

/** A heading, a line of a section, a field, or a member of its JSON. */
export type RecordNode = {
  /** The same for the same value of a later reading. */
  key: string;
  /** Of the field, or of the member in its object or list. */
  name: string;
  /** 0 for a field; how deep a member lies in it. */
  depth: number;
  /** What `y` copies; undefined where there is nothing to. */
  value: unknown;
  /** What Enter opens: the value is the id or the name of it. */
  link?: Opening | undefined;
  content: NodeContent;
};

export type NodeContent =
  | { kind: 'title'; text: string }
  | { kind: 'made'; line: SummaryLine; opening: Opening | undefined }
  | { kind: 'blank' }
  | { kind: 'text'; text: string; isOpen: boolean }
  /** A value of JSON as it is written there. */
  | { kind: 'plain'; text: string; isNothing: boolean }
  | { kind: 'group'; isList: boolean; count: number; isOpen: boolean };

/** What lies deeper is shown as JSON in a text: there is no room to indent it. */
const deepest = 64;

/** An object with at most so many members is open at first: a field's own, and one inside it (with all below). */
const openAtFirst = { field: 40, inside: 8 };

/** Everything that is shown of a record from top to bottom; what is folded is not looked into. */
export function* recordNodes(
  rows: readonly RecordRow[],
  sections: readonly DetailSection[],
  folds: RecordFolds,
): Generator<RecordNode, void, undefined> {
  for (const [at, section] of sections.entries()) yield* sectionNodes(section, `section ${at}`);
  for (const [at, row] of rows.entries()) {
    if (rows.length > 1) {
      const text = `${at + 1} of ${rows.length}`;
      yield made(`row ${at}`, { kind: 'title', text }, row);
    }
    for (const [name, value] of valuesFirst(row)) {
      yield* valueNodes({ key: `${at}/${name}`, name, depth: 0, value, of: name, row }, folds);
    }
    if (at < rows.length - 1) yield made(`after ${at}`, { kind: 'blank' });
  }
}

function* sectionNodes(section: DetailSection, key: string): Generator<RecordNode> {
  yield made(key, { kind: 'title', text: section.title });
  for (const [at, line] of section.lines.entries()) {
    const text = line.map((piece) => piece.text.trim()).join('  ');
    yield made(
      `${key} ${section.keyOf?.(at) ?? at}`,
      { kind: 'made', line, opening: section.open?.(at) },
      text,
    );
  }
  yield made(`${key} end`, { kind: 'blank' });
}

/** Whether the cursor may stand there: not on a heading of a section, nor on what parts two of them. */
export function canBeChosen({ content, value }: RecordNode): boolean {
  return content.kind === 'title' ? value !== undefined : content.kind !== 'blank';
}

function made(key: string, content: NodeContent, value?: unknown): RecordNode {
  return { key, name: '', depth: 0, value, content };
}

/** What is empty comes last: it says least. */
function valuesFirst(row: RecordRow): [string, unknown][] {
  const isEmpty = (value: unknown) => value === null || value === undefined;
  return Object.entries(row).toSorted(([, a], [, b]) => Number(isEmpty(a)) - Number(isEmpty(b)));
}

/** `of`: the name of the field, or for an item that of its list; `row`: the whole row. */
type Value = Omit<RecordNode, 'content' | 'link'> & { of: string; row: RecordRow };

function* valueNodes(value: Value, folds: RecordFolds): Generator<RecordNode, void, undefined> {
  const { of, row, ...node } = value;
  const group = groupOf(node.depth === 0 ? jsonOf(node.value) : node.value);
  if (group && group.members.length > 0 && node.depth >= deepest) {
    const isOpen = isUnfolded(folds, node.key, false);
    yield { ...node, content: { kind: 'text', text: exactJson(node.value), isOpen } };
    return;
  }
  if (!group || group.members.length === 0) {
    const link = linkOf(of, node.value, row);
    yield { ...node, link, content: plainContent(node, group !== undefined, folds) };
    return;
  }
  const { isList, members } = group;
  const isOpen = isUnfolded(folds, node.key, opensAtFirst(group.members, node.depth));
  yield { ...node, content: { kind: 'group', isList, count: members.length, isOpen } };
  if (!isOpen) return;
  for (const [name, each] of members) {
    const key = `${node.key}/${name}`;
    const member = { key, name, depth: node.depth + 1, value: each, row };
    yield* valueNodes({ ...member, of: isList ? of : name }, folds);
  }
}

function plainContent(
  { key, depth, value }: Omit<RecordNode, 'content'>,
  isGroup: boolean,
  folds: RecordFolds,
) {
  if (isGroup) {
    return { kind: 'plain', text: Array.isArray(value) ? '[]' : '{}', isNothing: true } as const;
  }
  if (typeof value === 'string') {
    const text = depth === 0 ? value : `"${value}"`;
    return { kind: 'text', text, isOpen: isUnfolded(folds, key, false) } as const;
  }
  const isNothing = value === null || value === undefined;
  return { kind: 'plain', text: isNothing ? '–' : plainText(value), isNothing } as const;
}

function plainText(value: unknown): string {
  if (value instanceof Date) return timestampText(value);
  return exactJson(value);
}

function timestampText(value: Date): string {
  if (Number.isNaN(value.getTime())) return String(value);
  return `${formatTimestamp(value)}.${String(value.getMilliseconds()).padStart(3, '0')}`;
}

function isUnfolded({ all, toggled }: RecordFolds, key: string, atFirst: boolean): boolean {
  return (all === undefined ? atFirst : all === 'open') !== toggled.has(key);
}

type Group = { isList: boolean; members: readonly (readonly [string, unknown])[] };

function groupOf(value: unknown): Group | undefined {
  if (typeof value !== 'object' || value === null || value instanceof Date) return undefined;
  if (value instanceof ExactNumber) return undefined;
  return { isList: Array.isArray(value), members: Object.entries(value) };
}

/** JSON that was stored as text is shown as JSON. */
function jsonOf(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[{[]/.test(value)) return value;
  try {
    return parseExactJson(value);
  } catch {
    return value;
  }
}

function opensAtFirst(members: Group['members'], depth: number): boolean {
  if (depth === 0) return members.length <= openAtFirst.field;
  const most = openAtFirst.inside;
  return members.length <= most && countBelow(members, most) <= most;
}

/** Counts the values below; stops beyond `most`, and so at that depth. */
function countBelow(members: Group['members'], most: number): number {
  let count = 0;
  if (most < 0) return count;
  for (const [, value] of members) {
    const group = groupOf(value);
    count += 1 + (group ? countBelow(group.members, most - count - 1) : 0);
    if (count > most) break;
  }
  return count;
}

/** A value as text for the clipboard. JSON writes a date in quotes: they are removed. */
export function copiedText(value: unknown): string {
  if (typeof value === 'string') return value;
  const json = exactJson(value, 2);
  return value instanceof Date ? json.replaceAll('"', '') : json;
}
