import { safeLine } from '../../terminal/sanitise.js';
import type { ConsoleApp } from '../app/console-app.js';
import { innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import { layOutRecord } from '../draw/record-layout.js';
import { searchFoot } from '../draw/search-foot.js';
import { drawTextLine } from '../draw/text-line.js';
import type { Size } from '../layout/layout.js';
import { findMatches } from '../model/search.js';
import type { RecordView, WaitingView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ScrolledBox } from './scrolled-box.js';

type Props<View> = { app: ConsoleApp; view: View; size: Size; theme: Theme };

/** One row with all its columns, or the rows behind a sum. */
export function RecordScreen({ app, view, size, theme }: Props<RecordView>) {
  const { search, top } = view;
  const width = innerWidth(size.columns);
  const { lines, texts, isFolded } = layOutRecord(view, width);
  const matches = findMatches(texts, search?.text ?? '');
  const at = Math.min(search?.index ?? 0, Math.max(0, matches.length - 1));
  const draw = (start: number, end: number) =>
    lines.slice(start, end).map((line, row) => {
      const here = matches.filter((match) => match.line === start + row);
      return drawTextLine(theme, line, width, here, matches[at]);
    });
  return (
    <ScrolledBox
      app={app}
      title={safeLine(view.title)}
      count={lines.length}
      draw={draw}
      foot={searchFoot(app.keys, search, { at, count: matches.length, isFolded })}
      top={top}
      size={size}
      theme={theme}
    />
  );
}

/** What Enter has opened, until it is read, or why it could not be. */
export function WaitingScreen({ app, view, size, theme }: Props<WaitingView>) {
  const { failure, opening } = view;
  const write = writer(theme, innerWidth(size.columns));
  const lines = failure
    ? [
        ...write(safeLine(failure.message), 'error'),
        ...(failure.hint === undefined ? [] : write(safeLine(failure.hint), 'muted')),
      ]
    : write('asking …', 'muted');
  return (
    <ScrolledBox
      app={app}
      title={safeLine(opening.title)}
      count={lines.length}
      draw={(start, end) => lines.slice(start, end)}
      top={0}
      size={size}
      theme={theme}
    />
  );
}
