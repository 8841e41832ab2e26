import { withSeparators } from '../../core/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { truncate } from '../../terminal/width.js';
import type { Command, Context, Searchable, View } from '../context.js';
import type { Segment } from '../draw/styled-line.js';
import {
  findMatches,
  firstMatchFrom,
  mostMatches,
  nextMatch,
  type Match,
  type Search,
} from '../model/search.js';
import { PromptView } from './prompt.js';

/** A view that can be searched. */
export type Searched = { view: View; searchable: Searchable };

/** The view that is searched: focused, or behind the prompt. */
export function searchedView({ model }: Context): Searched | undefined {
  const view = model.views.findLast(({ isPrompt }) => !isPrompt);
  return view?.searchable && { view, searchable: view.searchable };
}

/** The matches of a text in a view; at most one a line where it is `linesOnly`. */
export function matchesIn(
  context: Context,
  searchable: Searchable,
  text = searchable.search?.text ?? '',
): readonly Match[] {
  if (text === '') return [];
  return findMatches(searchable.texts(context), text, { linesOnly: searchable.linesOnly });
}

export function showMatch(context: Context, { view, searchable }: Searched, search: Search): void {
  const line = matchesIn(context, searchable, search.text)[search.index]?.line ?? search.from;
  context.replace(view, searchable.found(context, line, search));
}

/** Goes to the first match, when the lines that hold it are laid out only after it was typed. */
export function showFirstMatch(context: Context): void {
  const searched = searchedView(context);
  const search = searched?.searchable.search;
  if (search) showMatch(context, searched, search);
}

/** Searches for the typed text, from the line where the search began. */
export function searchTyped(context: Context, text: string): void {
  const searched = searchedView(context);
  if (!searched) return;
  const { searchable } = searched;
  const from = searchable.search?.from ?? searchable.line(context);
  const index = firstMatchFrom(matchesIn(context, searchable, text), from);
  showMatch(context, searched, { text, index, from });
}

/** Ends a search; `back` leads to where it began. */
export function endSearch(context: Context, back = false): void {
  const searched = searchedView(context);
  const search = searched?.searchable.search;
  if (!search) return;
  const { view, searchable } = searched;
  const line = back ? search.from : searchable.line(context);
  context.replace(view, searchable.found(context, line, undefined));
}

/** Searches the view behind it while it is typed. */
export class SearchPrompt extends PromptView {
  readonly sign = '/';
  readonly help = `Enter keeps it, :${nextMatchCommand.id} :${previousMatchCommand.id} lead on, Esc leads back`;

  protected typed(context: Context, text: string): void {
    searchTyped(context, text);
    context.replace(this, new SearchPrompt(text));
  }

  accept(context: Context): void {
    if (this.text === '') endSearch(context);
  }

  cancel(context: Context): void {
    endSearch(context, true);
  }
}

export const search: Command = {
  id: 'search',
  keys: ['/'],
  title: 'search what is shown, whatever the case; Esc ends the search',
  bar: 'search',
  priority: 3,
  run(context) {
    const searched = searchedView(context);
    if (!searched) return;
    const { view, searchable } = searched;
    const line = searchable.line(context);
    context.replace(view, searchable.found(context, line, { text: '', index: 0, from: line }));
    context.push(new SearchPrompt());
  },
};

function step(context: Context, by: 1 | -1): void {
  const searched = searchedView(context);
  const found = searched?.searchable.search;
  if (!found) return;
  const { searchable } = searched;
  const here = { top: searchable.line(context), height: 1 };
  const matches = matchesIn(context, searchable);
  const index = nextMatch(matches, found.index, by, here);
  if (matches.length === 1) context.say('This is the only match');
  showMatch(context, searched, { ...found, index });
}

function whyNoMatch(context: Context): string | undefined {
  const searchable = searchedView(context)?.searchable;
  if (!searchable?.search) {
    return `Nothing is searched for; ${context.keys.keyOf(search.id)} searches`;
  }
  const { text } = searchable.search;
  const where = searchable.among === undefined ? '' : ` in ${searchable.among}`;
  return matchesIn(context, searchable).length > 0 ? undefined : `Not found${where}: ${text}`;
}

export const nextMatchCommand: Command = {
  id: 'next-match',
  keys: ['n'],
  title: 'to the next match, round the end',
  run: (context) => step(context, 1),
  unavailable: whyNoMatch,
};

export const previousMatchCommand: Command = {
  id: 'previous-match',
  keys: ['N'],
  title: 'to the match before',
  run: (context) => step(context, -1),
  unavailable: whyNoMatch,
};

/** The search text and its matches, for a view of rows: which match the cursor is on, and how many there are. */
export function rowSearchFoot(context: Context, searchable: Searchable): Segment[] {
  const matches = matchesIn(context, searchable);
  const here = searchable.line(context);
  const at = matches.findIndex(({ line }) => line === here);
  return searchFoot(searchable.search, { at, count: matches.length, among: searchable.among });
}

const textColumns = 30;

/** Where a search stands. */
type SearchPlace = {
  at: number;
  count: number;
  /** The key that unfolds what is folded; undefined where nothing is. */
  unfoldKey?: string | undefined;
  isMore?: boolean;
  among?: string | undefined;
};

/** What is searched for, and which of how many matches the reader is at: for the lower border. */
export function searchFoot(search: Search | undefined, place: SearchPlace): Segment[] {
  if (!search || search.text === '') return [];
  const text = {
    text: `/${truncate(safeLine(search.text), textColumns)}`,
    look: 'accent',
  } as const;
  const { at, count, unfoldKey, isMore = false, among } = place;
  if (count === 0 && isMore) return [text, { text: 'searching …', look: 'muted' }];
  if (count === 0) {
    const shown =
      unfoldKey === undefined ? '' : ` in what is shown; ${unfoldKey} shows every value whole`;
    const where = among === undefined ? shown : ` in ${among}`;
    return [text, { text: `not found${where}`, look: 'warning' }];
  }
  const all = `${withSeparators(count)}${count === mostMatches || isMore ? ' or more' : ''}`;
  // The cursor may have gone on to a row without it.
  return [text, { text: at < 0 ? `${all} found` : `${withSeparators(at + 1)} of ${all}` }];
}
