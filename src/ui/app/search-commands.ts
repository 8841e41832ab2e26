import { cellOf } from '../../panes/cells.js';
import { eventText } from '../../panes/trace/event.js';
import { nodeTitle } from '../../panes/trace/tree.js';
import { searchFoot } from '../draw/search-foot.js';
import type { Segment } from '../draw/segments.js';
import type { ListView } from '../model/list-view.js';
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
import { recordCursor } from './record-commands.js';

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
    return recordCursor(app, view).layout.texts;
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

/** The line under the cursor. */
function lineOf(app: ConsoleApp, view: SearchedView): number {
  return view.kind === 'record' ? recordCursor(app, view).index : view.index;
}

function showMatch(app: ConsoleApp, view: SearchedView, search: Search): void {
  const index = matchesIn(app, view, search.text)[search.index]?.line ?? search.from;
  app.replaceView(view, { ...view, index, search });
}

/** How many matches are known by now. */
export function matchCount(app: ConsoleApp): number {
  const view = searchedView(app);
  return view ? matchesIn(app, view).length : 0;
}

/** What is searched for, once lines with it are laid out that were not when it was typed. */
export function showFirstMatch(app: ConsoleApp): void {
  const view = searchedView(app);
  if (view?.search) showMatch(app, view, view.search);
}

/** What is typed is looked for from where the search began. */
export function searchTyped(app: ConsoleApp, text: string): void {
  const view = searchedView(app);
  if (!view) return;
  const from = view.search?.from ?? lineOf(app, view);
  const index = firstMatchFrom(matchesIn(app, view, text), from);
  showMatch(app, view, { text, index, from });
}

/** Ends what was searched; `back` leads to where it began. */
export function endSearch(app: ConsoleApp, back = false): void {
  const view = searchedView(app);
  if (!view?.search) return;
  const { from } = view.search;
  app.replaceView(view, { ...view, ...(back ? { index: from } : {}), search: undefined });
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
      const here = { top: lineOf(app, view), height: 1 };
      const index = nextMatch(matchesIn(app, view), view.search.index, step, here);
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
      const search = { text: '', index: 0, from: lineOf(app, view) };
      app.replaceView(view, { ...view, search });
      app.push({ kind: 'prompt', purpose: 'search', text: '', index: 0, error: undefined });
    },
  },
  nextMatch: toMatch(1),
  previousMatch: toMatch(-1),
} as const satisfies Record<string, Command>;
