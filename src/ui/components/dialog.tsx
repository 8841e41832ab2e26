import { drawDialog } from '../draw/dialog.js';
import { bodyOf, type Model } from '../model/model.js';
import type { Look, Theme } from '../theme.js';
import { Lines } from './lines.js';

type DialogProps = {
  title: string;
  body: readonly string[];
  look: Look;
  model: Model;
  theme: Theme;
};

/** Lines in a box in the middle of the screen, in front of everything. */
export function Dialog({ title, body, look, model, theme }: DialogProps) {
  const room = bodyOf(model.size);
  const drawn = drawDialog(theme, title, body, room, look);
  const { width, height } = drawn;
  const x = Math.floor((room.width - width) / 2);
  const y = room.y + Math.floor((room.height - height) / 2);
  const text = theme.encode(drawn.lines.join('\n'));
  return <Lines text={text} x={x} y={y} width={width} height={height} />;
}
