import { innerWidth } from '../draw/box.js';
import { foldedLines } from '../draw/record.js';
import { layOutRecord, type RecordLayout } from '../draw/record-layout.js';
import { initialFolds, type RecordFolds, type RecordNode } from '../model/record-tree.js';
import type { RecordView } from '../model/views.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** Lines laid out at a time to find a part. */
const atOnce = 200;

export function frontRecord({ model }: ConsoleApp): RecordView | undefined {
  const view = model.views.at(-1);
  return view?.kind === 'record' ? view : undefined;
}

/** The lines of a record at the width that the screen has. */
export function layoutOf(app: ConsoleApp, view: RecordView): RecordLayout {
  return layOutRecord(view, innerWidth(app.model.size.columns));
}

/** Where the cursor is: its line among those that there are by now, and the part of the record there. */
export function recordCursor(app: ConsoleApp, view: RecordView) {
  const layout = layoutOf(app, view);
  if (Number.isSafeInteger(view.index)) layout.grow(view.index + app.model.size.rows);
  const index = Math.min(view.index, Math.max(0, layout.lines.length - 1));
  return { index, layout, node: layout.lines[index]?.node };
}

/** Whether there is something to fold or to unfold in a part of a record. */
function isFoldable({ content, key }: RecordNode, layout: RecordLayout): boolean {
  if (content.kind !== 'text') return content.kind === 'group';
  const last = layout.lines[layout.lineOf(key) + foldedLines];
  if (last?.node?.key !== key) return false;
  return !content.isOpen ? last.line.some(({ isFold }) => isFold) : true;
}

/** A part of a record folded or unfolded; undefined where it is so already, or cannot be. */
function toggledAtCursor(app: ConsoleApp, view: RecordView, to?: 'folded' | 'open') {
  const { node, layout } = recordCursor(app, view);
  if (!node || !('isOpen' in node.content) || !isFoldable(node, layout)) return undefined;
  if (to !== undefined && node.content.isOpen === (to === 'open')) return undefined;
  const toggled = new Set(view.folds.toggled);
  if (!toggled.delete(node.key)) toggled.add(node.key);
  return { folds: { ...view.folds, toggled }, key: node.key };
}

/** The cursor stays on the part that it was on, or what that belongs to. */
function showFolds(app: ConsoleApp, view: RecordView, folds: RecordFolds, key: string): void {
  const next = { ...view, folds };
  const layout = layoutOf(app, next);
  const lineOf = (part: string) => layout.lineOf(part);
  let index = lineOf(key);
  while (index < 0 && !layout.isWhole) {
    layout.grow(layout.lines.length + atOnce);
    index = lineOf(key);
  }
  for (let part = key; index < 0 && part.includes('/'); index = lineOf(part)) {
    part = part.slice(0, part.lastIndexOf('/'));
  }
  app.replaceView(view, { ...next, index: Math.max(0, index) });
}

/** The part that a member of JSON belongs to. */
function parentLine(app: ConsoleApp, view: RecordView): number | undefined {
  const { node, layout } = recordCursor(app, view);
  if (!node || node.depth === 0) return undefined;
  const line = layout.lineOf(node.key.slice(0, node.key.lastIndexOf('/')));
  return line < 0 ? undefined : line;
}

function inRecord(
  run: (app: ConsoleApp, view: RecordView) => void,
  unavailable?: (app: ConsoleApp, view: RecordView) => string | undefined,
): Command {
  return {
    run(app) {
      const view = frontRecord(app);
      if (view) run(app, view);
    },
    unavailable(app) {
      const view = frontRecord(app);
      return view && unavailable?.(app, view);
    },
  };
}

function foldTo(to?: 'folded' | 'open') {
  return (app: ConsoleApp, view: RecordView): boolean => {
    const next = toggledAtCursor(app, view, to);
    if (next) showFolds(app, view, next.folds, next.key);
    return next !== undefined;
  };
}

const toggle = foldTo();

/** What the keys do in a record: they fold its values and the parts of its JSON. */
export const recordCommands = {
  fold: inRecord(
    (app, view) => void toggle(app, view),
    (app, view) => (toggledAtCursor(app, view) ? undefined : 'This value is shown whole'),
  ),
  foldOrParent: inRecord((app, view) => {
    if (foldTo('folded')(app, view)) return;
    const index = parentLine(app, view);
    if (index !== undefined) app.replaceView(view, { ...view, index });
  }),
  unfoldTree: inRecord((app, view) => void foldTo('open')(app, view)),
  foldAll: inRecord((app, view) => {
    const isOpen = view.folds.all === 'open';
    const folds = isOpen ? initialFolds : { ...initialFolds, all: 'open' as const };
    const { node } = recordCursor(app, view);
    showFolds(app, view, folds, node?.key ?? '');
    const key = app.keys.keyOf('foldAll');
    app.say(
      isOpen ? 'Long values are folded again' : `Every value is shown whole; ${key}: as before`,
    );
  }),
} as const satisfies Record<string, Command>;
