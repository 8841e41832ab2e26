import { expect, it } from 'vitest';
import type { Frame } from '../../../src/terminal/painter.js';
import { drawBox, innerWidth } from '../../../src/ui/draw/box.js';
import { LinearPainter } from '../../../src/ui/draw/linear-painter.js';
import { type Segment, drawSegments, type StyledLine } from '../../../src/ui/draw/styled-line.js';
import { drawTable } from '../../../src/ui/draw/table.js';
import { fruitColumns, fruits } from '../helpers.js';

const [width, rows] = [40, 12];

function region(y: number, lines: readonly StyledLine[]): Frame[number] {
  return { x: 0, y, width, height: lines.length, lines };
}

function box(title: string, body: readonly StyledLine[]): Frame[number] {
  const height = body.length + 2;
  const named = [{ text: title, look: 'focus' as const }];
  return region(2, drawBox(body, { width, height, focused: true, title: named }));
}

function table(cursor: number, names: readonly string[]): StyledLine[] {
  const options = { width: innerWidth(width), height: 5, top: 0, cursor, faded: false };
  const drawn = drawTable(fruitColumns, fruits(...names), { nowMs: 0 }, options);
  return [drawn.heading, ...drawn.rows];
}

const line = (...segments: Segment[]) => drawSegments(segments, innerWidth(width));
const keyBar = region(rows - 1, [line({ text: 'q', look: 'key' }, { text: 'quit' })]);

/** What is told of each frame, by a clock that goes on a second a frame. */
function toldOf(...frames: Frame[]): string[][] {
  let now = 0;
  const painter = new LinearPainter(() => (now += 1000));
  return frames.map((frame) => painter.paint(frame, { rows }, false).split('\r\n').slice(0, -1));
}

it('tells a table by its heading and the row under the cursor, then the next row only', () => {
  const names = ['apple', 'fig', 'plum'];
  expect(
    toldOf(
      [box('Fruit', table(0, names)), keyBar],
      [box('Fruit', table(0, names)), keyBar],
      [box('Fruit', table(2, names)), keyBar],
    ),
  ).toEqual([['Fruit', 'fruit, weight', 'apple, 3.0 kB'], [], ['plum, 1.0 kB']]);
});

it('tells what has no cursor in full, and what is new of it not too often', () => {
  const progress = (text: string) => [
    box('Archive', [line({ text }), line({ text: 'Esc: cancel' })]),
  ];
  expect(
    toldOf(progress('1 of 9'), progress('2 of 9'), progress('3 of 9'), progress('4 of 9')).slice(
      0,
      4,
    ),
  ).toEqual([['Archive', '1 of 9', 'Esc: cancel'], [], [], ['4 of 9']]);
});

it('tells messages, and an alarm once however its seconds count', () => {
  const message = region(rows - 1, [line({ text: 'Copied 3 ids', look: 'muted' })]);
  const alarm = (seconds: number) =>
    region(0, [line({ text: ` no connection for ${seconds}s `, look: 'alarm' })]);
  const pane = box('Fruit', table(0, ['apple']));
  expect(
    toldOf([alarm(1), pane, keyBar], [alarm(2), pane, keyBar], [alarm(3), pane, message]).map(
      (lines) => lines.filter((text) => !/fruit|apple/i.test(text)),
    ),
  ).toEqual([['no connection for 1s'], [], ['Copied 3 ids']]);
});

it('tells all of what is focused when it is asked to', () => {
  const painter = new LinearPainter();
  const frame = [box('Fruit', table(0, ['apple', 'fig'])), keyBar];
  painter.paint(frame, { rows }, true);
  expect(painter.paint(frame, { rows }, true)).toContain('fig, 1.0 kB');
});
