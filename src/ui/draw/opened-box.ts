import { withSeparators } from '../../shared/format/number.js';
import type { ScrollPlace } from '../model/cursor.js';
import type { Theme } from '../theme.js';
import { drawBox } from './box.js';
import type { Segment } from './segments.js';

export type OpenedBoxOptions = {
  width: number;
  height: number;
  title: string;
  /** On the upper border at the right. */
  note: string;
  /** Is told what is in view. */
  place: ScrollPlace;
  top: number;
  visibleRows: number;
  count: number;
  /** These are not all: the rest is made when somebody looks there. */
  isMore?: boolean;
  /** On the lower border at the left. */
  foot: readonly Segment[];
};

/** The box of what Enter has opened: as large as the body of the screen, with what is in view of it. */
export function drawOpenedBox(
  theme: Theme,
  lines: readonly string[],
  options: OpenedBoxOptions,
): string[] {
  const {
    width,
    height,
    title,
    note,
    place,
    top,
    visibleRows,
    count,
    isMore = false,
    foot,
  } = options;
  place.top = top;
  place.height = visibleRows;
  const isWhole = count <= visibleRows;
  const [first, last, all] = [top + 1, Math.min(count, top + visibleRows), count].map(
    withSeparators,
  );
  const inView = `${first}–${last} of ${all}${isMore ? ' or more' : ''}`;
  return drawBox(theme, lines, {
    width,
    height,
    focused: true,
    title: [{ text: title, look: 'focus' }],
    titleRight: note === '' ? [] : [{ text: note, look: 'accent' }],
    foot,
    footRight: isWhole ? [] : [{ text: inView, look: 'muted' }],
  });
}
