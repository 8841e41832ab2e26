import { Text } from 'ink';
import { wrapText } from '../../terminal/wrap.js';
import { leastSize, type Size } from '../layout/layout.js';
import type { ConsoleApp } from '../app/console-app.js';
import type { Theme } from '../theme.js';

type Props = { app: ConsoleApp; size: Size; isRunning: boolean; theme: Theme };

/** A screen on which nothing readable can be drawn. */
export function TooSmall({ app, size, isRunning, theme }: Props) {
  const { columns, rows } = size;
  // What would be asked before quitting could not be read here.
  const way = isRunning
    ? 'An action is running; Ctrl-C twice cancels it.'
    : `${app.keys.keyOf('quit')} quits.`;
  const message = `${columns}×${rows} is too small: at least ${leastSize.columns}×${leastSize.rows}. ${way}`;
  return <Text>{theme.encode(wrapText(message, columns, rows).join('\n'))}</Text>;
}
