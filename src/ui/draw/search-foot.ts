import { withSeparators } from '../../shared/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { truncate } from '../../terminal/width.js';
import type { Keys } from '../keys/keys.js';
import { mostMatches, type Search } from '../model/search.js';
import type { Segment } from './segments.js';

const textColumns = 30;

/** What is searched for, and which of how many matches the reader is at: for the lower border. */
export function searchFoot(
  keys: Keys,
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
      ? ` in what is shown; ${keys.keyOf('foldAll')} shows every value whole`
      : '';
    return [text, { text: `not found${where}`, look: 'warning' }];
  }
  const all = `${withSeparators(count)}${count === mostMatches || isMore ? ' or more' : ''}`;
  // The cursor may have gone on to a row without it.
  return [text, { text: at < 0 ? `${all} found` : `${withSeparators(at + 1)} of ${all}` }];
}
