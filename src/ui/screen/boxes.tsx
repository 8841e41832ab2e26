import {
  drawBox,
  innerHeight,
  innerWidth,
  drawOpenedBox,
  type OpenedBoxOptions,
  drawDialog,
  innerOfDialog,
} from '../draw/box.js';
import { type StyledLine, plainText } from '../draw/styled-line.js';
import type { Size, Rectangle } from '../layout/layout.js';
import type { Look } from '../theme.js';
import { bodyOf } from '../model/model.js';
import { useContext } from 'react';
import { PaintedContext, regionElement, textElement } from '../../terminal/ink/mount.js';

/** The room inside a view that covers the panes. */
export function innerBody(size: Size): { width: number; height: number } {
  const { width, height } = bodyOf(size);
  return { width: innerWidth(width), height: innerHeight(height) };
}

/** The room inside a dialog; it is as high as its lines need. */
export function innerDialog(size: Size): { width: number; height: number } {
  return innerOfDialog(bodyOf(size));
}

type DialogProps = {
  title: string;
  body: readonly StyledLine[];
  look?: Look;
  size: Size;
  /** Where it stands; default: in the middle. */
  at?: 'middle' | 'bottom';
};

/** Lines in a box in front of everything. */
export function Dialog({ title, body, look = 'frame', size, at = 'middle' }: DialogProps) {
  const room = bodyOf(size);
  const { lines, width, height } = drawDialog(title, body, room, look);
  const isMiddle = at === 'middle';
  const x = isMiddle ? Math.floor((room.width - width) / 2) : 0;
  const below = room.height - height;
  const y = room.y + (isMiddle ? Math.floor(below / 2) : below);
  return <Lines lines={lines} x={x} y={y} width={width} height={height} />;
}

type TextBoxProps = { title: string; lines: readonly StyledLine[]; top?: number; size: Size };

/** Lines in a box as large as the body of the screen, from `top` on. */
export function TextBox({ title, lines, top = 0, size }: TextBoxProps) {
  const { x, y, width, height } = bodyOf(size);
  const visible = innerHeight(height);
  const start = Math.min(Math.max(0, top), Math.max(0, lines.length - visible));
  const end = Math.min(lines.length, start + visible);
  const range = `lines ${start + 1}–${end} of ${lines.length}`;
  const drawn = drawBox(lines.slice(start, end), {
    width,
    height,
    focused: true,
    title: [{ text: title, look: 'focus' }],
    footRight: lines.length > visible ? [{ text: range, look: 'muted' }] : [],
  });
  return <Lines lines={drawn} x={x} y={y} width={width} height={height} />;
}

type OpenedBoxProps = Omit<OpenedBoxOptions, 'width' | 'height'> & {
  lines: readonly StyledLine[];
  size: Size;
};

/** The box of what Enter has opened, with which of its rows are in view. */
export function OpenedBox({ lines, size, ...options }: OpenedBoxProps) {
  const { x, y, width, height } = bodyOf(size);
  const drawn = drawOpenedBox(lines, { ...options, width, height });
  return <Lines lines={drawn} x={x} y={y} width={width} height={height} />;
}

/**
 * Ready-drawn lines at a place of the screen, each as wide as the place. The screen takes them from
 * the laid-out tree as they are; another renderer of Ink (a unit test's) gets their texts.
 */
export function Lines({ lines, ...place }: { lines: readonly StyledLine[] } & Rectangle) {
  const isPainted = useContext(PaintedContext);
  return isPainted
    ? regionElement({ ...place, lines })
    : textElement({ ...place, text: lines.map(plainText).join('\n') });
}
