import { Text } from 'ink';
import { wrapText } from '../../terminal/wrap.js';
import { leastSize, type Size } from '../layout/layout.js';
import type { Theme } from '../theme.js';

/** A screen on which nothing readable can be drawn. */
export function TooSmall({ size, theme }: { size: Size; theme: Theme }) {
  const { columns, rows } = size;
  const message = `${columns}×${rows} is too small: at least ${leastSize.columns}×${leastSize.rows}. q quits.`;
  return <Text>{theme.encode(wrapText(message, columns, rows).join('\n'))}</Text>;
}
