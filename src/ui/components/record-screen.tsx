import { safeLine } from '../../terminal/sanitise.js';
import type { ConsoleApp } from '../app/console-app.js';
import { recordCursor } from '../app/record-commands.js';
import { innerHeight, innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import { drawOpenedBox } from '../draw/opened-box.js';
import { searchFoot } from '../draw/search-foot.js';
import { drawTextLine } from '../draw/text-line.js';
import type { Size } from '../layout/layout.js';
import { bodyOf } from '../model/model.js';
import { scrollTop } from '../model/pane-view.js';
import { findMatches } from '../model/search.js';
import type { RecordView, WaitingView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { Lines } from './lines.js';
import { ScrolledBox } from './scrolled-box.js';

type Props<View> = { app: ConsoleApp; view: View; size: Size; theme: Theme };

/** One row with all its columns, or the rows behind a sum. */
export function RecordScreen({ app, view, size, theme }: Props<RecordView>) {
  const { search, place } = view;
  const { x, y, width, height } = bodyOf(size);
  const { index, layout } = recordCursor(app, view);
  const { lines, texts, isWhole } = layout;
  const visibleRows = innerHeight(height);
  const top = scrollTop(place.top, index, visibleRows, lines.length);
  const matches = findMatches(texts, search?.text ?? '');
  const at = Math.min(search?.index ?? 0, Math.max(0, matches.length - 1));
  const body = lines.slice(top, top + visibleRows).map(({ line }, row) =>
    drawTextLine(theme, line, innerWidth(width), {
      matches: matches.filter((match) => match.line === top + row),
      current: matches[at],
      isChosen: top + row === index,
    }),
  );
  const { isFolded } = layout;
  const drawn = drawOpenedBox(theme, body, {
    width,
    height,
    title: safeLine(view.title),
    note: '',
    place,
    top,
    visibleRows,
    count: lines.length,
    isMore: !isWhole,
    foot: searchFoot(app.keys, search, { at, count: matches.length, isFolded, isMore: !isWhole }),
  });
  return <Lines text={theme.encode(drawn.join('\n'))} x={x} y={y} width={width} height={height} />;
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
