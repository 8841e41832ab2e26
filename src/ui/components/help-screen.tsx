import { useMemo } from 'react';
import type { ConsoleApp } from '../app/console-app.js';
import { innerWidth } from '../draw/box.js';
import { helpLines } from '../draw/help.js';
import type { Size } from '../layout/layout.js';
import type { HelpView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ScrolledBox } from './scrolled-box.js';

type Props = { app: ConsoleApp; view: HelpView; size: Size; theme: Theme };

export function HelpScreen({ app, view, size, theme }: Props) {
  const width = innerWidth(size.columns);
  const lines = useMemo(() => helpLines(theme, app.keys, app.panes, width), [theme, app, width]);
  return (
    <ScrolledBox
      app={app}
      title="Keys"
      count={lines.length}
      draw={(start, end) => lines.slice(start, end)}
      top={view.top}
      size={size}
      theme={theme}
    />
  );
}
