import { fc, keptSeeds } from '../helpers/seeds.js';
import { expect, test } from 'vitest';
import {
  ByteQueue,
  cString,
  frame,
  FrameSplitter,
  ProtocolViolation,
} from '../../src/embedded/wire.js';

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort(
    (a, b) => a - b,
  );
  const ends = [...sorted, bytes.length];
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

function split(pieces: readonly Buffer[]): string[] {
  const splitter = new FrameSplitter(1_000_000);
  const seen: string[] = [];
  for (const piece of pieces) {
    splitter.push(piece);
    for (let next = splitter.next(); next; next = splitter.next()) {
      seen.push(`${next.type}${next.bytes.toString('latin1', 5)}`);
    }
  }
  expect(splitter.pending).toBe(0);
  return seen;
}

test.each(keptSeeds)('finds the same messages wherever the bytes are cut (seed %i)', (seed) => {
  const messages = fc.array(
    fc.record({
      type: fc.constantFrom('Q', 'P', 'B', 'S'),
      body: fc.uint8Array({ maxLength: 40 }),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(messages, fc.array(fc.nat(), { maxLength: 12 }), (list, places) => {
      const frames = list.map(({ type, body }) => frame(type, Buffer.from(body)));
      const expected = list.map(({ type, body }) => type + Buffer.from(body).toString('latin1'));
      expect(split(cut(Buffer.concat(frames), places))).toEqual(expected);
    }),
    { seed },
  );
});

test('finds messages that come byte by byte', () => {
  const bytes = Buffer.concat([frame('Q', cString('SELECT 1')), frame('S'), frame('X')]);
  expect(split([...bytes].map((byte) => Buffer.from([byte])))).toEqual(['QSELECT 1\0', 'S', 'X']);
});

test('refuses lengths that cannot be', () => {
  for (const length of [-1, 0, 3, 1_000_000, 0x7fff_ffff]) {
    const splitter = new FrameSplitter(1_000_000);
    const bytes = Buffer.alloc(5, 'Q');
    bytes.writeInt32BE(length, 1);
    splitter.push(bytes);
    expect(() => splitter.next(), String(length)).toThrow(ProtocolViolation);
  }
});

test.each(keptSeeds)('a queue gives back exactly what was put in (seed %i)', (seed) => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 });
  fc.assert(
    fc.property(pieces, fc.array(fc.nat({ max: 30 }), { maxLength: 10 }), (list, takes) => {
      const queue = new ByteQueue();
      for (const piece of list) queue.push(Buffer.from(piece));
      let rest = Buffer.concat(list);
      for (const count of takes) {
        expect(queue.peek(count)?.equals(rest.subarray(0, count)) ?? count > rest.length).toBe(
          true,
        );
        const taken = queue.take(count);
        if (taken === undefined) expect(count).toBeGreaterThan(rest.length);
        else {
          expect(taken.equals(rest.subarray(0, count))).toBe(true);
          rest = rest.subarray(count);
        }
        expect(queue.length).toBe(rest.length);
      }
    }),
    { seed },
  );
});
