import type { Look, Theme } from '../theme.js';
import { fitSegments, type Line, type Segment } from './segments.js';

export type BoxOptions = {
  width: number;
  height: number;
  /** On the upper border. */
  title: readonly Segment[];
  titleRight?: readonly Segment[];
  /** On the lower border. */
  foot?: readonly Segment[];
  footRight?: readonly Segment[];
  focused: boolean;
  /** Look of the border; default by focus. */
  look?: Look;
};

const light = { across: '─', down: '│', corners: ['┌', '┐', '└', '┘'] } as const;
const heavy = { across: '━', down: '┃', corners: ['┏', '┓', '┗', '┛'] } as const;

/** Columns inside a box: a border and a blank on each side. */
export function innerWidth(width: number): number {
  return Math.max(0, width - 4);
}

export function innerHeight(height: number): number {
  return Math.max(0, height - 2);
}

/**
 * Lines in a border, `width` × `height` in all. `body` lines are each exactly innerWidth(width)
 * columns wide; missing ones are blank. The heavy border marks focus also without colours.
 */
export function drawBox(theme: Theme, body: readonly string[], options: BoxOptions): string[] {
  const { width, height, focused } = options;
  if (width < 4 || height < 2) return Array.from({ length: height }, () => ' '.repeat(width));
  const lines = focused ? heavy : light;
  const look = options.look ?? (focused ? 'frame' : 'border');
  const side = theme.paint(look, lines.down);
  const blank = ' '.repeat(innerWidth(width));
  const [topLeft, topRight, bottomLeft, bottomRight] = lines.corners;
  const edge = (corners: [string, string], left: readonly Segment[], right: readonly Segment[]) =>
    drawEdge(theme, { look, across: lines.across, corners, left, right, width });
  return [
    edge([topLeft, topRight], options.title, options.titleRight ?? []),
    ...Array.from(
      { length: innerHeight(height) },
      (_, row) => `${side} ${body[row] ?? blank} ${side}`,
    ),
    edge([bottomLeft, bottomRight], options.foot ?? [], options.footRight ?? []),
  ];
}

type Edge = {
  look: Look;
  across: string;
  corners: [string, string];
  left: readonly Segment[];
  right: readonly Segment[];
  width: number;
};

/** `┌─ left ───── right ─┐` */
function drawEdge(theme: Theme, edge: Edge): string {
  const { look, across, corners, width } = edge;
  const room = width - 4;
  const left = spaced(fitSegments(theme, edge.left, Math.max(0, room - 2), ' '));
  const rightRoom = room - left.width - 3;
  const right: Line =
    rightRoom > 2 ? spaced(fitSegments(theme, edge.right, rightRoom, ' ')) : { text: '', width: 0 };
  const filling = across.repeat(Math.max(0, room - left.width - right.width));
  return (
    theme.paint(look, corners[0] + across) +
    left.text +
    theme.paint(look, filling) +
    right.text +
    theme.paint(look, across + corners[1])
  );
}

function spaced({ text, width }: Line): Line {
  return width === 0 ? { text: '', width: 0 } : { text: ` ${text} `, width: width + 2 };
}
