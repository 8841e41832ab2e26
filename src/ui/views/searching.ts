import { withSeparators } from '../../core/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { truncate } from '../../terminal/width.js';
import type { Context, Searchable, View } from '../context.js';
import type { Segment } from '../draw/styled-line.js';
import type { Keymap } from '../keymap.js';
import {
  findMatches,
  firstMatchFrom,
  mostMatches,
  type Match,
  type Search,
} from '../model/search.js';

/** A view that can be searched. */
export type Searched = { view: View; searchable: Searchable };

/** The view that is searched: focused, or behind the prompt. */
export function searchedView({ model }: Context): Searched | undefined {
  const view = model.views.findLast(({ isPrompt }) => !isPrompt);
  return view?.searchable && { view, searchable: view.searchable };
}

/** Where the text stands in a view; of a row once, since a step leads to another row. */
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

/** Shows what is searched for, once lines with it are laid out that were not when it was typed. */
export function showFirstMatch(context: Context): void {
  const searched = searchedView(context);
  const search = searched?.searchable.search;
  if (search) showMatch(context, searched, search);
}

/** What is typed is looked for from where the search began. */
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

/** Of rows: which of those that match is under the cursor, and how many there are. */
export function rowSearchFoot(context: Context, searchable: Searchable): Segment[] {
  const matches = matchesIn(context, searchable);
  const here = searchable.line(context);
  const at = matches.findIndex(({ line }) => line === here);
  return searchFoot(context.keys, searchable.search, { at, count: matches.length });
}

const textColumns = 30;

/** What is searched for, and which of how many matches the reader is at: for the lower border. */
export function searchFoot(
  keys: Pick<Keymap, 'keyOf'>,
  search: Search | undefined,
  place: { at: number; count: number; isFolded?: boolean; isMore?: boolean },
): Segment[] {
  if (!search || search.text === '') return [];
  const text = {
    text: `/${truncate(safeLine(search.text), textColumns)}`,
    look: 'accent',
  } as const;
  const { at, count, isFolded = false, isMore = false } = place;
  if (count === 0 && isMore) return [text, { text: 'searching …', look: 'muted' }];
  if (count === 0) {
    const where = isFolded
      ? ` in what is shown; ${keys.keyOf('fold-all')} shows every value whole`
      : '';
    return [text, { text: `not found${where}`, look: 'warning' }];
  }
  const all = `${withSeparators(count)}${count === mostMatches || isMore ? ' or more' : ''}`;
  // The cursor may have gone on to a row without it.
  return [text, { text: at < 0 ? `${all} found` : `${withSeparators(at + 1)} of ${all}` }];
}
