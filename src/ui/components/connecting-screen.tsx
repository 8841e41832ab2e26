import { safeLine } from '../../terminal/sanitise.js';
import type { ConsoleApp } from '../app/console-app.js';
import { innerWidth } from '../draw/box.js';
import { writer } from '../draw/dialog.js';
import type { Size } from '../layout/layout.js';
import type { ConnectingView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ScrolledBox } from './scrolled-box.js';

type Props = { app: ConsoleApp; view: ConnectingView; size: Size; theme: Theme };

/** On the way to another database, or why it cannot be reached. */
export function ConnectingScreen({ app, view, size, theme }: Props) {
  const { choice, back, progress, failure } = view;
  const write = writer(theme, innerWidth(size.columns));
  const lines = failure
    ? [
        ...write(safeLine(failure.message), 'error'),
        ...(failure.hint === undefined ? [] : write(safeLine(failure.hint), 'muted')),
        ...write(''),
        ...write(`Enter, Esc: back to ${safeLine(back)}`),
        ...write(`${app.keys.keyOf('retry')}: try again`),
      ]
    : [
        ...write(safeLine(choice.says), 'muted'),
        ...write(safeLine(progress)),
        ...write(''),
        ...write(`Esc: back to ${safeLine(back)}`, 'muted'),
      ];
  return (
    <ScrolledBox
      app={app}
      title={failure ? `${choice.name} cannot be opened` : `Connecting to ${choice.name}`}
      count={lines.length}
      draw={(start, end) => lines.slice(start, end)}
      top={0}
      size={size}
      theme={theme}
    />
  );
}
