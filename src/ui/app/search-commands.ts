import { cellOf } from '../../panes/cells.js';
import { eventText } from '../../panes/trace/event.js';
import { nodeTitle } from '../../panes/trace/tree.js';
import { innerHeight, innerWidth } from '../draw/box.js';
import { layOutRecord } from '../draw/record-layout.js';
import { searchFoot } from '../draw/search-foot.js';
import type { Segment } from '../draw/segments.js';
import type { ScrollPlace } from '../model/cursor.js';
import type { ListView } from '../model/list-view.js';
import { bodyOf } from '../model/model.js';
import {
  findMatches,
  firstMatchFrom,
  nextMatch,
  type Match,
  type Search,
} from '../model/search.js';
import type { TraceView } from '../model/trace-view.js';
import type { RecordView, View } from '../model/views.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** What Enter has opened and `/` searches. */
type SearchedView = RecordView | ListView | TraceView;

function isSearched(view: View | undefined): view is SearchedView {
  return view?.kind === 'record' || view?.kind === 'list' || view?.kind === 'trace';
}

/** The view that is searched: in front, or behind the prompt. */
function searchedView({ model }: ConsoleApp): SearchedView | undefined {
  const view = model.views.findLast(({ kind }) => kind !== 'prompt');
  return isSearched(view) ? view : undefined;
}

/** Of a list or a trace a line is a row; the same array as long as the rows are the same. */
const rowTexts = new WeakMap<readonly object[], readonly string[]>();

function textsOf(app: ConsoleApp, view: SearchedView): readonly string[] {
  if (view.kind === 'record') {
    return layOutRecord(view, innerWidth(app.model.size.columns)).texts;
  }
  const rows = view.kind === 'list' ? view.opened.rows : view.rows;
  const known = rowTexts.get(rows);
  if (known) return known;
  const texts = view.kind === 'list' ? listTexts(view) : traceTexts(view);
  rowTexts.set(rows, texts);
  return texts;
}

function listTexts({ opened: { rows, columns, asOf } }: ListView): string[] {
  const context = { nowMs: asOf.getTime() };
  return rows.map((row) => columns.map((column) => cellOf(column, row, context).text).join(' '));
}

function traceTexts({ rows }: TraceView): string[] {
  return rows.map((node) => `${nodeTitle(node)} ${eventText(node.event)}`);
}

/** Where the text stands in a view; of a row once, since a step leads to another row. */
function matchesIn(
  app: ConsoleApp,
  view: SearchedView,
  text = view.search?.text ?? '',
): readonly Match[] {
  if (text === '') return [];
  return findMatches(textsOf(app, view), text, { linesOnly: view.kind !== 'record' });
}

/** The lines of a record in view, or the row under the cursor. */
function placeOf(app: ConsoleApp, view: SearchedView): ScrollPlace {
  if (view.kind !== 'record') return { top: view.index, height: 1 };
  const height = innerHeight(bodyOf(app.model.size).height);
  const last = Math.max(0, textsOf(app, view).length - height);
  return { top: Math.min(view.top, last), height };
}

/** The view at a line: scrolled no more than needed, or with the cursor there. */
function at(app: ConsoleApp, view: SearchedView, line: number): SearchedView {
  if (view.kind !== 'record') return { ...view, index: line };
  const { top, height } = placeOf(app, view);
  if (line >= top && line < top + height) return { ...view, top };
  return { ...view, top: Math.max(0, line - Math.floor(height / 3)) };
}

function showMatch(app: ConsoleApp, view: SearchedView, search: Search): void {
  const line = matchesIn(app, view, search.text)[search.index]?.line ?? search.from;
  app.replaceView(view, { ...at(app, view, line), search });
}

/** What is typed is looked for from where the search began. */
export function searchTyped(app: ConsoleApp, text: string): void {
  const view = searchedView(app);
  if (!view) return;
  const from = view.search?.from ?? placeOf(app, view).top;
  const index = firstMatchFrom(matchesIn(app, view, text), from);
  showMatch(app, view, { text, index, from });
}

/** Ends what was searched; `back` leads to where it began. */
export function endSearch(app: ConsoleApp, back = false): void {
  const view = searchedView(app);
  if (!view?.search) return;
  const { from } = view.search;
  const there: SearchedView =
    view.kind === 'record' ? { ...view, top: from } : { ...view, index: from };
  app.replaceView(view, { ...(back ? there : view), search: undefined });
}

/** Long values are shown whole or folded: the first match from the top. */
export function searchAgain(app: ConsoleApp): void {
  const text = searchedView(app)?.search?.text;
  if (text === undefined) return;
  endSearch(app);
  searchTyped(app, text);
}

/** Of a list or a trace: which of the rows that match is under the cursor, and how many there are. */
export function rowSearchFoot(app: ConsoleApp, view: ListView | TraceView): Segment[] {
  const matches = matchesIn(app, view);
  const at = matches.findIndex(({ line }) => line === view.index);
  return searchFoot(app.keys, view.search, { at, count: matches.length });
}

function toMatch(step: 1 | -1): Command {
  return {
    run(app) {
      const view = searchedView(app);
      if (!view?.search) return;
      const index = nextMatch(matchesIn(app, view), view.search.index, step, placeOf(app, view));
      showMatch(app, view, { ...view.search, index });
    },
    unavailable(app) {
      const view = searchedView(app);
      if (!view?.search) return `Nothing is searched for; ${app.keys.keyOf('search')} searches`;
      return matchesIn(app, view).length > 0 ? undefined : `Not found: ${view.search.text}`;
    },
  };
}

export const searchCommands = {
  search: {
    run(app) {
      const view = searchedView(app);
      if (!view) return;
      const search = { text: '', index: 0, from: placeOf(app, view).top };
      app.replaceView(view, { ...view, search });
      app.push({ kind: 'prompt', purpose: 'search', text: '', index: 0, error: undefined });
    },
  },
  nextMatch: toMatch(1),
  previousMatch: toMatch(-1),
} as const satisfies Record<string, Command>;
