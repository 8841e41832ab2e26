import type { RecordRow } from '../../panes/opening.js';
import { safeLines } from '../../terminal/safe-lines.js';
import { truncate } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import { Gathered } from '../model/gathered.js';
import { recordNodes, type RecordFolds, type RecordNode } from '../model/record-tree.js';
import type { RecordView } from '../model/views.js';
import { nodeLines, recordColumns } from './record.js';
import { plainText, type TextLine } from './text-line.js';

/** A line, and the part of the record that it belongs to. */
export type RecordLine = { line: TextLine; node: RecordNode | undefined };

/**
 * The lines of a record from the top to where somebody looks: two megabytes of wide characters take
 * seconds. What is drawn, scrolled and searched are the same lines.
 */
export class RecordLayout {
  readonly #lines: Gathered<RecordLine>;
  readonly #texts: string[] = [];

  constructor(lines: Iterable<RecordLine>) {
    this.#lines = new Gathered(lines);
  }

  /** The lines that there are by now. */
  get lines(): readonly RecordLine[] {
    return this.#lines.items;
  }

  /** What is written on them. */
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

  /** Something of it is folded, as far as it is laid out. */
  get isFolded(): boolean {
    return this.lines.some(({ line }) => line.some(({ isFold }) => isFold));
  }

  /** Lays out until there are so many lines, or all. */
  grow(count: number): void {
    this.#lines.gather(count);
  }

  /** The first line of a part, of the lines that there are; -1: not among them. */
  lineOf(key: string): number {
    return this.lines.findIndex(({ node }) => node?.key === key);
  }
}

type Known = { width: number; folds: RecordFolds; layout: RecordLayout };
/** Long texts wrapped to a width stay wrapped when something else is folded. */
type Wrapped = { width: number; texts: Map<string, Gathered<string>> };

const layouts = new WeakMap<readonly RecordRow[], Known>();
const wrapped = new WeakMap<readonly RecordRow[], Wrapped>();

/** Lays a record out, or finds it as far as it was. */
export function layOutRecord(
  view: Pick<RecordView, 'rows' | 'sections' | 'folds'>,
  width: number,
): RecordLayout {
  const { rows, folds } = view;
  const known = layouts.get(rows);
  if (known?.width === width && known.folds === folds) return known.layout;
  const layout = new RecordLayout(linesOf(view, width));
  layouts.set(rows, { width, folds, layout });
  return layout;
}

function* linesOf(
  { rows, sections, folds }: Pick<RecordView, 'rows' | 'sections' | 'folds'>,
  width: number,
): Generator<RecordLine, void, undefined> {
  if (rows.length === 0) {
    const lines = wrapText('It is no longer there.', width);
    yield* lines.map((text) => ({ line: [{ text, look: 'muted' as const }], node: undefined }));
    return;
  }
  const columns = recordColumns(rows, width);
  const texts = wrappedTexts(rows, width);
  const wrap = (key: string, text: string, room: number) => {
    const known = texts.get(key) ?? new Gathered(drawable(text, room));
    texts.set(key, known);
    return known;
  };
  for (const node of recordNodes(rows, sections, folds)) {
    for (const line of nodeLines(node, columns, wrap)) yield { line, node };
  }
}

/** A character that is wider than the room there is, is left out with a sign. */
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
