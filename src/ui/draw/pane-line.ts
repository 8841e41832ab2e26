import type { PaneSnapshot } from '../../live/state.js';
import type { AnyPane } from '../../panes/pane.js';
import { safeLine } from '../../terminal/sanitise.js';
import { fit } from '../../terminal/width.js';
import type { Theme } from '../theme.js';
import { summaryOf } from './pane.js';
import { fillLine, fitSegments, type Segment } from './segments.js';

export type PaneLineInput = {
  pane: AnyPane;
  snapshot: PaneSnapshot;
  number: string | undefined;
  width: number;
  age: string | undefined;
};

/** Titles stand in one column, so that the summaries do. */
const titleWidth = 14;

/** A pane as one line: its number, its title and what it comes to. */
export function drawPaneLine(theme: Theme, input: PaneLineInput): string {
  const { pane, number, width } = input;
  const start = ` ${theme.paint('key', number ?? ' ')} ${fit(pane.title, titleWidth)} `;
  const room = Math.max(0, width - titleWidth - 5);
  const rest = fillLine(fitSegments(theme, restOf(input), room, ' · '), room);
  return `${start} ${rest}`;
}

function restOf({ pane, snapshot, age }: PaneLineInput): Segment[] {
  const { error, asOf, rows, notes } = snapshot;
  if (error) return [{ text: safeLine(error.message), look: 'error' }];
  if (!asOf) return [{ text: 'asking …', look: 'muted' }];
  const segments = summaryOf(pane, snapshot)[0] ?? [];
  const [note] = notes;
  return [
    ...(age === undefined ? [] : [{ text: `as of ${age}`, look: 'warning' as const }]),
    ...(note === undefined
      ? []
      : [{ text: safeLine(note), look: 'warning' as const, priority: 2 }]),
    ...(segments.length > 0 ? segments : [{ text: `${rows.length} rows`, look: 'muted' as const }]),
  ];
}
