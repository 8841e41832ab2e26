import type { ConsoleApp } from '../app/console-app.js';
import { drawBox, innerHeight } from '../draw/box.js';
import type { Size } from '../layout/layout.js';
import { bodyOf } from '../model/model.js';
import type { Theme } from '../theme.js';
import { Lines } from './lines.js';

export type ScrolledBoxProps = {
  app: ConsoleApp;
  title: string;
  lines: readonly string[];
  top: number;
  size: Size;
  theme: Theme;
};

/** Lines in a box as large as the body of the screen, from `top` on. */
export function ScrolledBox({ app, title, lines, top, size, theme }: ScrolledBoxProps) {
  const { x, y, width, height } = bodyOf(size);
  const visible = innerHeight(height);
  const start = Math.min(Math.max(0, top), Math.max(0, lines.length - visible));
  app.measured(visible, lines.length);
  const end = Math.min(lines.length, start + visible);
  const drawn = drawBox(theme, lines.slice(start, end), {
    width,
    height,
    focused: true,
    title: [{ text: title, look: 'focus' }],
    footRight:
      lines.length > visible
        ? [{ text: `lines ${start + 1}–${end} of ${lines.length}`, look: 'muted' }]
        : [],
  });
  return <Lines text={theme.encode(drawn.join('\n'))} x={x} y={y} width={width} height={height} />;
}
