import { exactJson } from '../../core/exact-json.js';
import { openedExport } from '../../panes/export/exportable.js';
import type {
  DetailSection,
  OpenedRecords,
  Opening,
  RecordRow,
} from '../../panes/contract/opening.js';
import { safeLine } from '../../terminal/sanitise.js';
import { inView, terminalCommands } from '../commands/kinds.js';
import { backFromOpened, besides, nothingMore, openTarget, refreshView } from '../commands/open.js';
import { copies, exportRows } from './export.js';
import { moves } from '../commands/rows.js';
import { help } from './help.js';
import { palette } from './palette.js';
import type { Command, Context, Copyable, OpenedBy, Scope, Searchable, View } from '../context.js';
import { drawMatches, findMatches, type Search } from '../model/search.js';
import { layOutRecord, parentLine, type LinePlace, type RecordLayout } from '../draw/record.js';
import { copiedText, initialFolds, type RecordFolds } from '../model/record-tree.js';
import { moved, scrollTop, type Movement, type Scroll } from '../model/list-state.js';
import { innerBody, OpenedBox } from '../screen/boxes.js';
import {
  matchesIn,
  nextMatchCommand,
  previousMatchCommand,
  search,
  searchFoot,
  showFirstMatch,
} from './searching.js';

type RecordState = {
  title: string;
  rows: readonly RecordRow[];
  sections: readonly DetailSection[];
  isLive: boolean;
  folds: RecordFolds;
  /** The line under the cursor. Beyond the last one it means that one: Infinity, while the last is not laid out yet. */
  index: number;
  /** Where it was scrolled to when the cursor was moved last. */
  top: number;
  /** What the cursor was on before this reading, and on which of its lines: it stays there wherever that is now. */
  kept?: LinePlace | undefined;
  search?: Search | undefined;
};

/** Lines laid out at a time to find a part. */
const atOnce = 200;
/** Lines laid out below the cursor in advance. */
const lookAhead = 1_000;
/** How long a record is laid out at a time, so that a key never waits for longer. */
const sliceMs = 8;
const linesAtOnce = 4;

/** One row with all its columns, or the rows behind a sum. */
export class RecordView implements View {
  readonly scope: Scope = recordScope;
  readonly covers = true;
  readonly openedBy: OpenedBy;
  readonly state: RecordState;

  constructor(openedBy: OpenedBy, state: RecordState) {
    this.openedBy = openedBy;
    this.state = state;
  }

  /** The view of a reading: a new one, or the one before with newer values, its cursor and folds kept. */
  static of(openedBy: OpenedBy, opened: OpenedRecords, before: View | undefined): RecordView {
    const { title, rows, sections = [], isLive = false } = opened;
    const kept =
      before instanceof RecordView ? before.state : { folds: initialFolds, index: 0, top: 0 };
    return new RecordView(openedBy, { ...kept, title, rows, sections, isLive });
  }

  get isLive(): boolean {
    return this.state.isLive;
  }

  draw(context: Context) {
    const { size } = context.model;
    const { width } = innerBody(size);
    const { index, layout } = this.cursor(context);
    const { top, height } = this.#scroll(context);
    const { lines, texts, isFolded, isWhole } = layout;
    const { search: searched, title } = this.state;
    const matches = findMatches(texts, searched?.text ?? '');
    const at = Math.min(searched?.index ?? 0, Math.max(0, matches.length - 1));
    const unfoldKey = isFolded ? context.keys.keyOf(unfoldAll.id) : undefined;
    const found = { at, count: matches.length, unfoldKey, isMore: !isWhole };
    return (
      <OpenedBox
        lines={lines.slice(top, top + height).map(({ line }, row) =>
          drawMatches(line, width, {
            matches: matches.filter((match) => match.line === top + row),
            current: matches[at],
            isChosen: top + row === index,
          }),
        )}
        title={safeLine(title)}
        note=""
        top={top}
        visibleRows={height}
        count={lines.length}
        isMore={!isWhole}
        foot={searchFoot(searched, found)}
        size={size}
      />
    );
  }

  move(context: Context, by: Movement): void {
    const { index, layout } = this.cursor(context);
    // Which line is the last is not known until all is laid out.
    const next =
      by.to === 'last' && !layout.isWhole
        ? Infinity
        : layout.choosable(
            moved(index, by, layout.lines.length, this.#scroll(context).height),
            index,
          );
    if (next !== index) this.show(context, { index: next });
  }

  /** Another state, scrolled as little as it needs from where this one is. */
  show(context: Context, change: Partial<RecordState>): void {
    context.replace(this, this.#changed(context, change));
  }

  target(context: Context): Opening | undefined {
    const { node } = this.cursor(context);
    return node?.content.kind === 'made' ? node.content.opening : node?.link;
  }

  /** The nearest line above or below that opens something. */
  beside(context: Context, by: 1 | -1) {
    const { index, layout, node: here } = this.cursor(context);
    for (let at = index + by; at >= 0 && at < layout.lines.length; at += by) {
      const node = layout.lines[at]?.node;
      const opening = node?.content.kind === 'made' ? node.content.opening : node?.link;
      if (!opening || node?.key === here?.key) continue;
      return () => {
        this.show(context, { index: at });
        return opening;
      };
    }
    return undefined;
  }

  /** The value under the cursor: a text as it is, everything else as JSON. */
  copyable(context: Context): Copyable | undefined {
    const { name = '', value } = this.cursor(context).node ?? {};
    if (value === null || value === undefined) return undefined;
    const isText = typeof value === 'string' || name !== '';
    return {
      get text() {
        return isText ? copiedText(value) : exactJson(value, 2);
      },
      what: name === '' ? (isText ? 'the line' : 'the row as JSON') : safeLine(name),
    };
  }

  exportable() {
    const { title, rows } = this.state;
    return openedExport({ kind: 'records', title, rows });
  }

  get searchable(): Searchable {
    return {
      search: this.state.search,
      linesOnly: false,
      line: (context: Context) => this.cursor(context).index,
      texts: (context: Context) => this.cursor(context).layout.texts,
      found: (context: Context, index: number, next: Search | undefined) =>
        this.#changed(context, { index, search: next }),
    };
  }

  /** Lays it out further: to its end while all of it is needed, else some screens ahead. */
  idleWork(context: Context): (() => void) | undefined {
    const { index, search: searched } = this.state;
    const layout = this.layout(context);
    const isNeeded = layout.lines.length < index + lookAhead || (searched?.text ?? '') !== '';
    if (layout.isWhole || !isNeeded) return undefined;
    return () => {
      const count = () => matchesIn(context, this.searchable).length;
      const before = count();
      const start = performance.now();
      while (!layout.isWhole && performance.now() - start < sliceMs) {
        layout.grow(layout.lines.length + linesAtOnce);
      }
      if (before === 0 && count() > 0) showFirstMatch(context);
    };
  }

  /** The lines of the record at the width that the screen has. */
  layout({ model }: Context): RecordLayout {
    return layOutRecord(this.state, innerBody(model.size).width);
  }

  /** The line of the cursor among those laid out so far, and the part of the record on it. */
  cursor(context: Context) {
    const layout = this.layout(context);
    const { index: wanted, kept, search: searched } = this.state;
    if (Number.isSafeInteger(wanted)) layout.grow(wanted + context.model.size.rows);
    const found = Math.min(layout.find(kept) ?? wanted, Math.max(0, layout.lines.length - 1));
    // A match may be in a heading.
    const index = searched ? found : layout.choosable(found, found);
    return { index, layout, node: layout.lines[index]?.node };
  }

  #changed(context: Context, change: Partial<RecordState>): RecordView {
    const { top } = this.#scroll(context);
    const changed = new RecordView(this.openedBy, {
      ...this.state,
      kept: undefined,
      top,
      ...change,
    });
    if (!Number.isSafeInteger(changed.state.index)) return changed;
    const { index, layout } = changed.cursor(context);
    return new RecordView(this.openedBy, {
      ...changed.state,
      kept: layout.placeOf(index),
      top: changed.#scroll(context).top,
    });
  }

  #scroll(context: Context): Scroll {
    const { height } = innerBody(context.model.size);
    const { index, layout } = this.cursor(context);
    const top = scrollTop(this.state.top, index, height, layout.lines.length);
    return { top: layout.withHeading(top, index), height };
  }
}

/** The folds after toggling the part under the cursor; undefined when it is as wanted already, or cannot be folded. */
function toggled(view: RecordView, context: Context, to?: 'folded' | 'open') {
  const { node, layout } = view.cursor(context);
  if (!node || !('isOpen' in node.content) || !layout.isFoldable(node)) return undefined;
  if (to !== undefined && node.content.isOpen === (to === 'open')) return undefined;
  const { folds } = view.state;
  const parts = new Set(folds.toggled);
  if (!parts.delete(node.key)) parts.add(node.key);
  return { folds: { ...folds, toggled: parts }, key: node.key };
}

/** The cursor stays on the part that it was on, or what that belongs to. */
function showFolds(view: RecordView, context: Context, folds: RecordFolds, key: string): void {
  const layout = new RecordView(view.openedBy, { ...view.state, folds }).layout(context);
  const lineOf = (part: string) => layout.lineOf(part);
  let index = lineOf(key);
  while (index < 0 && !layout.isWhole) {
    layout.grow(layout.lines.length + atOnce);
    index = lineOf(key);
  }
  for (let part = key; index < 0 && part.includes('/'); index = lineOf(part)) {
    part = part.slice(0, part.lastIndexOf('/'));
  }
  view.show(context, { folds, index: Math.max(0, index) });
}

/** Folds or unfolds the part under the cursor; false where nothing changes. */
function foldTo(view: RecordView, context: Context, to?: 'folded' | 'open'): boolean {
  const next = toggled(view, context, to);
  if (next) showFolds(view, context, next.folds, next.key);
  return next !== undefined;
}

const nothingToFold = 'There is nothing to fold here, and no parent';

function whyNoFold(view: RecordView, context: Context): string | undefined {
  return toggled(view, context) ? undefined : 'This value is shown whole';
}

const unfoldAll: Command = inView(RecordView, {
  id: 'fold-all',
  keys: ['O'],
  title: 'show every value whole; again: as at first',
  bar: 'unfold all',
  priority: 3,
  run(view, context) {
    const isOpen = view.state.folds.all === 'open';
    const folds = isOpen ? initialFolds : { ...initialFolds, all: 'open' as const };
    showFolds(view, context, folds, view.cursor(context).node?.key ?? '');
    const key = context.keys.keyOf(unfoldAll.id);
    context.say(
      isOpen ? 'Long values are folded again' : `Every value is shown whole; ${key}: as before`,
    );
  },
});

const own = {
  open: inView(RecordView, {
    id: 'open',
    keys: ['enter'],
    title:
      'open what the line names: a trace, a session, an agent, a hook …; else fold or unfold it',
    bar: 'open',
    priority: 4,
    run(view, context) {
      if (!openTarget(context)) foldTo(view, context);
    },
    unavailable(view, context) {
      if (view.target(context) || whyNoFold(view, context) === undefined) return undefined;
      return nothingMore;
    },
  }),
  folds: [
    inView(RecordView, {
      id: 'fold',
      keys: ['o', 'space'],
      title: 'fold or unfold the value under the cursor: a long text, an object or a list of JSON',
      bar: 'fold',
      priority: 2,
      run: (view, context) => void foldTo(view, context),
      unavailable: whyNoFold,
    }),
    unfoldAll,
    inView(RecordView, {
      id: 'fold-or-parent',
      keys: ['left', 'h'],
      title: 'fold, or go to the parent',
      run(view, context) {
        if (foldTo(view, context, 'folded')) return;
        const index = parentLine(view.cursor(context));
        if (index !== undefined) view.show(context, { index });
      },
      unavailable(view, context) {
        const leadsOn = toggled(view, context, 'folded') ?? parentLine(view.cursor(context));
        return leadsOn === undefined ? nothingToFold : undefined;
      },
    }),
    inView(RecordView, {
      id: 'unfold-tree',
      keys: ['right', 'l'],
      title: 'unfold',
      run: (view, context) => void foldTo(view, context, 'open'),
      unavailable: (view, context) =>
        toggled(view, context, 'open') ? undefined : 'This value is shown whole',
    }),
  ],
  copyValue: copies(
    {
      id: 'copy',
      keys: ['y'],
      title: 'copy the value under the cursor, whole also where it is folded',
      bar: 'copy',
      priority: 3,
    },
    (context) => context.front.copyable?.(context),
  ),
  copyRow: copies(
    {
      id: 'copy-all',
      keys: ['Y'],
      title: 'copy the whole row as JSON',
      bar: 'copy row',
      priority: 7,
    },
    ({ front }) => {
      const rows = front instanceof RecordView ? front.state.rows : [];
      const [row] = rows;
      return (
        row && {
          get text() {
            return exactJson(rows.length === 1 ? row : rows, 2);
          },
          what: 'the row as JSON',
        }
      );
    },
  ),
};

export const recordScope: Scope = {
  id: 'record',
  title: 'In an opened row',
  isInHelp: true,
  commands: [
    search,
    nextMatchCommand,
    previousMatchCommand,
    palette,
    ...moves,
    own.open,
    ...own.folds,
    ...besides,
    refreshView,
    backFromOpened,
    own.copyValue,
    own.copyRow,
    exportRows,
    help,
    ...terminalCommands,
  ],
};
