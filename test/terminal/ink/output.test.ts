import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOut } from '../../../src/terminal/row.js';
import Output from '../../../src/terminal/ink/output.js';
import { inkOutput } from './ink-output.js';

const width = 24;
const height = 4;

const text = fc
  .array(fc.constantFrom('a', 'xyz', ' ', '│', '\x1b[31mred\x1b[39m', '\x1b[7mon\x1b[27m', '\n'), {
    maxLength: 8,
  })
  .map((parts) => parts.join(''));
const write = fc.record({ x: fc.nat(width - 1), y: fc.nat(height - 1), text });

type Write = { x: number; y: number; text: string };

function frame(output: InstanceType<typeof Output>, writes: readonly Write[]): object[] {
  for (const { x, y, text } of writes) output.write(x, y, text, { transformers: [] });
  const lines = output.get().output.split('\n');
  return lines.map((line) => layOut(line, width));
}

describe('the stand-in for Ink’s output', () => {
  it('draws what Ink draws, texts side by side and over each other', async () => {
    const InkOutput = await inkOutput();
    fc.assert(
      fc.property(fc.array(write, { maxLength: 5 }), (writes) => {
        // Ink lets what is too long run over the frame's edge; the painter cuts it.
        const ours = frame(new Output({ width, height }), writes);
        const inks = frame(new InkOutput({ width, height }), writes);
        expect(ours).toEqual(inks);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves a blank of a wide character whose half is covered', () => {
    const output = new Output({ width, height });
    output.write(0, 0, 'a漢漢b', { transformers: [] });
    output.write(2, 0, 'x', { transformers: [] });
    expect(output.get().output.split('\n')[0]).toBe('a x漢b');
  });

  it('keeps a row that comes again, and draws one that has changed', () => {
    const first = new Output({ width, height });
    first.write(0, 0, 'one', { transformers: [] });
    const second = new Output({ width, height });
    second.write(0, 0, 'two', { transformers: [] });
    expect(first.get().output.split('\n')[0]).toBe('one');
    expect(second.get().output.split('\n')[0]).toBe('two');
  });
});
