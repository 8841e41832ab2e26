import type { Look } from '../theme.js';
import {
  fitSegments,
  type Segment,
  blank,
  lineWidth,
  type Span,
  type StyledLine,
  drawSegments,
  fillLine,
  styled,
} from './styled-line.js';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Keymap } from '../keymap.js';
import type { Failure } from '../../db/errors.js';
import { safeBlock, safeLine } from '../../terminal/sanitise.js';
import { wrapText } from '../../terminal/width.js';

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
export function drawBox(body: readonly StyledLine[], options: BoxOptions): StyledLine[] {
  const { width, height, focused } = options;
  if (width < 4 || height < 2) return Array.from({ length: height }, () => [blank(width)]);
  const lines = focused ? heavy : light;
  const look = options.look ?? (focused ? 'frame' : 'border');
  const side: Span = { text: lines.down, look };
  const [space, empty] = [blank(1), [blank(innerWidth(width))]];
  const [topLeft, topRight, bottomLeft, bottomRight] = lines.corners;
  const edge = (
    corners: [string, string],
    left: readonly Segment[],
    right: readonly Segment[],
    between: string,
  ) => drawEdge({ look, across: lines.across, corners, left, right, between, width });
  return [
    edge([topLeft, topRight], options.title, options.titleRight ?? [], ' '),
    ...Array.from({ length: innerHeight(height) }, (_, row) => [
      side,
      space,
      ...(body[row] ?? empty),
      space,
      side,
    ]),
    edge([bottomLeft, bottomRight], options.foot ?? [], options.footRight ?? [], ' · '),
  ];
}

type Edge = {
  look: Look;
  across: string;
  corners: [string, string];
  left: readonly Segment[];
  right: readonly Segment[];
  between: string;
  width: number;
};

/** `┌─ left ───── right ─┐` */
function drawEdge(edge: Edge): StyledLine {
  const { look, across, corners, between, width } = edge;
  const room = width - 4;
  const left = spaced(fitSegments(edge.left, Math.max(0, room - 2), between));
  const rightRoom = room - lineWidth(left) - 3;
  const right = rightRoom > 2 ? spaced(fitSegments(edge.right, rightRoom, between)) : [];
  const filling = across.repeat(Math.max(0, room - lineWidth(left) - lineWidth(right)));
  return [
    { text: corners[0] + across, look },
    ...left,
    { text: filling, look },
    ...right,
    { text: across + corners[1], look },
  ];
}

function spaced(line: StyledLine): StyledLine {
  return lineWidth(line) === 0 ? [] : [blank(1), ...line, blank(1)];
}

export type OpenedBoxOptions = {
  width: number;
  height: number;
  title: string;
  /** On the upper border at the right. */
  note: string;
  top: number;
  visibleRows: number;
  count: number;
  /** There are more than `count`: they are laid out when somebody scrolls there. */
  isMore?: boolean;
  /** On the lower border at the left. */
  foot: readonly Segment[];
  /** On the lower border, before which rows are in view. */
  footRight?: readonly Segment[];
};

/** The box of what Enter has opened: as large as the body of the screen, with what is in view of it. */
export function drawOpenedBox(
  lines: readonly StyledLine[],
  options: OpenedBoxOptions,
): StyledLine[] {
  const { width, height, title, note, top, visibleRows, count, isMore = false, foot } = options;
  const isWhole = count <= visibleRows;
  const [first, last, all] = [top + 1, Math.min(count, top + visibleRows), count].map(
    withSeparators,
  );
  const inView = `${first}–${last} of ${all}${isMore ? ' or more' : ''}`;
  return drawBox(lines, {
    width,
    height,
    focused: true,
    title: [{ text: title, look: 'focus' }],
    titleRight: note === '' ? [] : [{ text: note, look: 'accent' }],
    foot,
    footRight: [
      ...(options.footRight ?? []),
      ...(isWhole ? [] : [{ text: inView, look: 'muted' as const }]),
    ],
  });
}

export type DrawnDialog = { lines: StyledLine[]; width: number; height: number };

type Room = { width: number; height: number };

const widest = 96;

/** Lines in a box in front of the panes, as large as they need and the screen allows. */
export function drawDialog(
  title: string,
  body: readonly StyledLine[],
  room: Room,
  look: Look = 'frame',
): DrawnDialog {
  const width = dialogWidth(room);
  const height = Math.min(body.length + 2, room.height);
  const lines = drawBox(cutLines(body, height - 2, innerWidth(width)), {
    width,
    height,
    focused: true,
    look,
    title: [{ text: safeLine(title), look: 'title' }],
  });
  return { lines, width, height };
}

/** As many lines as there is room for; the last one says how many are not shown. */
export function cutLines(
  lines: readonly StyledLine[],
  height: number,
  width: number,
): readonly StyledLine[] {
  if (lines.length <= height) return lines;
  const kept = lines.slice(0, Math.max(0, height - 1));
  const text = `… ${counted(lines.length - kept.length, 'line')} more: a larger window shows all`;
  return [...kept, drawSegments([{ text, look: 'accent' }], width)].slice(0, Math.max(0, height));
}

function dialogWidth({ width }: Room): number {
  return Math.min(widest, width - (width > 60 ? 4 : 0));
}

/** The room inside a dialog, which is as high as its lines need. */
export function innerOfDialog(room: Room): Room {
  return { width: innerWidth(dialogWidth(room)), height: innerHeight(room.height) };
}

/** Wraps a text, which may hold anything, to lines of exactly `width` columns. */
export function writer(width: number): (text: string, look?: Look) => StyledLine[] {
  return (text, look) =>
    wrapText(safeBlock(text), width).map((line) => fillLine(styled(line, look), width));
}

export type Write = ReturnType<typeof writer>;

/** A failure, and what to try next; `keys` where that is about the database that is shown. */
export function failureLines(
  write: Write,
  { message, hint }: Failure,
  keys?: Pick<Keymap, 'inText'>,
): StyledLine[] {
  const shown = hint === undefined || !keys ? hint : keys.inText(hint);
  return [
    ...write(safeLine(message), 'error'),
    ...(shown === undefined ? [] : write(safeLine(shown), 'muted')),
  ];
}

/** `████████░░░░░░` of exactly `width` columns; `share` is 0..1. */
export function drawProgressBar(share: number, width: number): StyledLine {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return [
    { text: '█'.repeat(full), look: 'accent' },
    { text: '░'.repeat(width - full), look: 'muted' },
  ];
}
