import type { ConsoleApp } from '../app/console-app.js';
import { drawBox, innerHeight } from '../draw/box.js';
import type { Segment } from '../draw/segments.js';
import type { Size } from '../layout/layout.js';
import { bodyOf } from '../model/model.js';
import type { Theme } from '../theme.js';
import { Lines } from './lines.js';

export type ScrolledBoxProps = {
  app: ConsoleApp;
  title: string;
  /** Lines there are. */
  count: number;
  /** The lines from one to before another. */
  draw: (start: number, end: number) => readonly string[];
  /** On the lower border at the left. */
  foot?: readonly Segment[];
  top: number;
  size: Size;
  theme: Theme;
};

/** Lines in a box as large as the body of the screen, from `top` on. */
export function ScrolledBox(props: ScrolledBoxProps) {
  const { app, title, count, draw, foot = [], top, size, theme } = props;
  const { x, y, width, height } = bodyOf(size);
  const visible = innerHeight(height);
  const start = Math.min(Math.max(0, top), Math.max(0, count - visible));
  app.measured(visible, count);
  const end = Math.min(count, start + visible);
  const drawn = drawBox(theme, draw(start, end), {
    width,
    height,
    focused: true,
    title: [{ text: title, look: 'focus' }],
    foot,
    footRight:
      count > visible ? [{ text: `lines ${start + 1}–${end} of ${count}`, look: 'muted' }] : [],
  });
  return <Lines text={theme.encode(drawn.join('\n'))} x={x} y={y} width={width} height={height} />;
}
