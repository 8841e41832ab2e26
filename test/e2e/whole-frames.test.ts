import { expect, it } from 'vitest';
import { WholeFrames } from './helpers/whole-frames.js';

const first = '\x1b[?2026h\x1b[1;1Hone\x1b[?2026l';
const second = '\x1b[?2026h\x1b[1;1Htwo\x1b[?2026l';

it('shows a frame only when it is whole, wherever its bytes are parted', () => {
  const stream = `before${first}${second}`;
  const wholes = ['before', `before${first}`, stream];
  for (let size = 1; size <= stream.length; size++) {
    const frames = new WholeFrames();
    let shown = '';
    for (let index = 0; index < stream.length; index += size) {
      shown += frames.push(stream.slice(index, index + size));
      expect(wholes.some((whole) => whole === shown || 'before'.startsWith(shown))).toBe(true);
    }
    expect(shown).toBe(stream);
  }
});

it('keeps nothing back that is no frame, and gives out the rest at the end', () => {
  const frames = new WholeFrames();
  expect(frames.push('\x1b[?1049h\x1b[31mred\x1b')).toBe('\x1b[?1049h\x1b[31mred');
  expect(frames.push('[0m')).toBe('\x1b[0m');
  expect(frames.push('\x1b[?2026hhalf')).toBe('');
  expect(frames.flush()).toBe('\x1b[?2026hhalf');
});
