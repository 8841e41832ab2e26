import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { type Appearance, type Frame, GridPainter } from '../../src/terminal/painter.js';
import { safeLine } from '../../src/terminal/sanitise.js';
import { Screen } from '../../src/terminal/screen.js';
import { fit } from '../../src/terminal/width.js';
import { visibleLines } from '../e2e/helpers/emulator.js';
import { EmulatedOutput } from './emulated-output.js';
import { untrustedText } from './untrusted-text.js';

const looks = ['', '1', '31', '38;5;120', '48;2;1;2;3', '7'];
const words = ['abc', '   ', 'x', '漢字', '─┤', '🎉', 'é', '0123456789'];

/** Looks that are their own SGR parameters. */
const appearance: Appearance = { styleOf: (look = '') => look, signsOf: (text) => text };

const styledLine = fc
  .array(fc.tuple(fc.constantFrom(...looks), fc.constantFrom(...words)), { maxLength: 8 })
  .map((spans) => spans.map(([look, text]) => ({ text, look })));
const region = fc.record({
  x: fc.nat(23),
  y: fc.nat(5),
  width: fc.nat(24),
  height: fc.nat(6),
  lines: fc.array(styledLine, { maxLength: 6 }),
});
const anyFrame = fc.array(region, { minLength: 1, maxLength: 4 });

/** Lines that fill the screen from the top. */
function frameOf(text: string): Frame {
  const lines = text.split('\n').map((line) => [{ text: line }]);
  return [{ x: 0, y: 0, width: 1000, height: lines.length, lines }];
}

function screenOn(output: EmulatedOutput): Screen {
  const screen = new Screen(output);
  screen.painter = new GridPainter(appearance);
  return screen;
}

describe('Screen', () => {
  it('shows after any frames what a fresh screen shows of the last one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { minLength: 1, maxLength: 6 }), async (frames) => {
        const output = new EmulatedOutput(24, 6);
        const screen = screenOn(output);
        for (const frame of frames) {
          screen.show(frame);
          await output.settled();
        }
        const fresh = new EmulatedOutput(24, 6);
        screenOn(fresh).show(frames.at(-1) ?? []);
        await fresh.settled();
        expect(output.cells()).toEqual(fresh.cells());
      }),
      { numRuns: 200 },
    );
  });

  it('keeps hostile text in its line, and title, bell, clipboard and replies silent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(untrustedText, { minLength: 3, maxLength: 3 }), async (texts) => {
        const output = new EmulatedOutput(60, 5);
        const noises: string[] = [];
        output.terminal.onBell(() => noises.push('bell'));
        output.terminal.onTitleChange(() => noises.push('title'));
        output.terminal.onData(() => noises.push('reply'));
        output.terminal.onScroll(() => noises.push('scroll'));
        const lines = texts.map((text) => text.replaceAll('\n', ' '));
        screenOn(output).show(frameOf(['top', ...lines, 'bottom'].join('\n')));
        await output.settled();
        expect(noises).toEqual([]);
        expect(visibleLines(output.terminal)[0]).toBe('top');
        expect(visibleLines(output.terminal)[4]).toBe('bottom');
      }),
      { numRuns: 300 },
    );
  });

  it('keeps what stands right of any safe text in its column, new emoji and rare scripts too', async () => {
    const texts = fc.oneof(untrustedText, fc.constantFrom('🫨🪿', '\u2630x', 'କ୍ଷତ୍ରିୟ', '\u{1f7f0}'));
    await fc.assert(
      fc.asyncProperty(fc.array(texts, { minLength: 2, maxLength: 3 }), async (frames) => {
        const output = new EmulatedOutput(24, 2);
        const screen = new Screen(output);
        for (const text of frames) {
          screen.show(frameOf(`${fit(safeLine(text), 20)}|end`));
          await output.settled();
          const line = output.terminal.buffer.active.getLine(0);
          const right = [20, 21, 22, 23].map((column) => line?.getCell(column)?.getChars());
          expect(right).toEqual(['|', 'e', 'n', 'd']);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('clips lines and rows that do not fit, and half a wide character', async () => {
    const output = new EmulatedOutput(5, 2);
    screenOn(output).show(frameOf('abcdefgh\n1234漢\nthird'));
    await output.settled();
    expect(visibleLines(output.terminal)).toEqual(['abcde', '1234']);
    expect(output.terminal.buffer.active.baseY).toBe(0);
  });

  it('writes the changed cells only', async () => {
    const output = new EmulatedOutput(200, 60);
    const screen = new Screen(output);
    const frame = (clock: string) =>
      frameOf(
        Array.from(
          { length: 60 },
          (_, row) => `${row} `.repeat(30) + (row === 7 ? clock : ''),
        ).join('\n'),
      );
    screen.show(frame('12:00:01'));
    await output.settled();
    const before = screen.statistics.bytes;
    screen.show(frame('12:00:02'));
    await output.settled();
    expect(screen.statistics.bytes - before).toBeLessThan(40);
    screen.show(frame('12:00:02'));
    expect(screen.statistics).toMatchObject({ frames: 3, painted: 2 });
  });

  it('gives a terminal that stood still the latest frame only', async () => {
    const output = new EmulatedOutput(20, 3);
    const screen = new Screen(output);
    output.stalled = true;
    for (let frame = 0; frame < 100; frame++) screen.show(frameOf(`frame ${frame}`));
    expect(output.writes).toHaveLength(1);
    output.takeAll();
    await output.settled();
    expect(visibleLines(output.terminal)[0]).toBe('frame 99');
    expect(output.writes).toHaveLength(2);
    expect(screen.statistics.skipped).toBe(98);
  });

  it('redraws what another program has overwritten, on demand', async () => {
    const output = new EmulatedOutput(20, 3);
    const screen = screenOn(output);
    screen.show(frameOf('one\ntwo'));
    await output.settled();
    output.terminal.write('\x1b[2J\x1b[Hgarbage everywhere');
    screen.repaint();
    await output.settled();
    expect(visibleLines(output.terminal)).toEqual(['one', 'two', '']);
  });

  it('writes nothing while suspended, and the latest frame afterwards', async () => {
    const output = new EmulatedOutput(20, 3);
    const screen = new Screen(output);
    screen.suspend();
    screen.show(frameOf('one'));
    screen.show(frameOf('two'));
    expect(output.writes).toEqual([]);
    screen.resume();
    await output.settled();
    expect(visibleLines(output.terminal)[0]).toBe('two');
  });

  it('draws the last of many sizes, whatever is left of the screen by then', async () => {
    const output = new EmulatedOutput(80, 24);
    const screen = new Screen(output);
    const draw = () =>
      screen.show(
        frameOf(
          Array.from({ length: screen.rows }, (_, row) =>
            `${row}`.padEnd(screen.columns, '.'),
          ).join('\n'),
        ),
      );
    screen.on('resize', draw);
    draw();
    for (let step = 0; step < 200; step++) {
      output.resizeTo(20 + ((step * 37) % 180), 5 + ((step * 17) % 50));
      if (step % 10 === 0) await output.settled();
    }
    output.resizeTo(30, 4);
    await new Promise((resolve) => setTimeout(resolve, 80));
    await output.settled();
    expect(visibleLines(output.terminal)).toEqual(
      [0, 1, 2, 3].map((row) => `${row}`.padEnd(30, '.')),
    );
  });

  it('lays a region over those behind it, blanks too, and leaves no half of a wide character', async () => {
    const output = new EmulatedOutput(8, 2);
    const behind = frameOf('漢漢漢漢\nabcdefgh');
    const dialog = { x: 1, y: 0, width: 4, height: 2, lines: [[{ text: 'x' }]] };
    screenOn(output).show([...behind, dialog]);
    await output.settled();
    expect(visibleLines(output.terminal)).toEqual([' x    漢', 'a    fgh']);
  });

  it('does not look at the texts of lines that are the same as before', () => {
    const output = new EmulatedOutput(20, 3);
    const screen = new Screen(output);
    let asked = 0;
    screen.painter = new GridPainter({ ...appearance, signsOf: (text) => (asked++, text) });
    const frame = frameOf('one\ntwo');
    screen.show(frame);
    screen.show(frame.map((each) => ({ ...each })));
    expect(asked).toBe(2);
  });
});
