import { useMemo } from 'react';
import { safeLine } from '../../terminal/sanitise.js';
import type { ConsoleApp } from '../app/console-app.js';
import { innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import { recordLines } from '../draw/record.js';
import type { Size } from '../layout/layout.js';
import type { RecordView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ScrolledBox } from './scrolled-box.js';

type Props = { app: ConsoleApp; view: RecordView; size: Size; theme: Theme };

/** One row with all its columns, or the rows behind a sum. */
export function RecordScreen({ app, view, size, theme }: Props) {
  const { rows, failure, unfolded, top } = view;
  const width = innerWidth(size.columns);
  const lines = useMemo(() => {
    const write = writer(theme, width);
    if (failure) {
      const hint = failure.hint === undefined ? [] : write(safeLine(failure.hint), 'muted');
      return [...write(safeLine(failure.message), 'error'), ...hint];
    }
    if (!rows) return write('asking …', 'muted');
    if (rows.length === 0) return write('It is no longer there.', 'muted');
    return recordLines(theme, rows, width, unfolded);
  }, [theme, rows, failure, unfolded, width]);
  const title = safeLine(view.title);
  return <ScrolledBox app={app} title={title} lines={lines} top={top} size={size} theme={theme} />;
}
