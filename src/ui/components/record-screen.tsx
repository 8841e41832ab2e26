import { useMemo } from 'react';
import { safeLine } from '../../terminal/sanitise.js';
import type { ConsoleApp } from '../app/console-app.js';
import { innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import { recordLines, sectionLines } from '../draw/record.js';
import type { Size } from '../layout/layout.js';
import type { RecordView, WaitingView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ScrolledBox } from './scrolled-box.js';

type Props<View> = { app: ConsoleApp; view: View; size: Size; theme: Theme };

/** One row with all its columns, or the rows behind a sum. */
export function RecordScreen({ app, view, size, theme }: Props<RecordView>) {
  const { rows, sections, unfolded, top } = view;
  const width = innerWidth(size.columns);
  const lines = useMemo(() => {
    if (rows.length === 0) return writer(theme, width)('It is no longer there.', 'muted');
    return [...sectionLines(theme, sections, width), ...recordLines(theme, rows, width, unfolded)];
  }, [theme, rows, sections, unfolded, width]);
  const title = safeLine(view.title);
  return <ScrolledBox app={app} title={title} lines={lines} top={top} size={size} theme={theme} />;
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
  const title = safeLine(opening.title);
  return <ScrolledBox app={app} title={title} lines={lines} top={0} size={size} theme={theme} />;
}
