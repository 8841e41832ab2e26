import { fc } from '../../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { decodeFrames, encodeFrame, type SpoolRecord } from '../../../src/ingest/spool/frame.js';

const record = (number: number, text = ''): SpoolRecord => ({
  id: `id-${number}`,
  at: '1790000000000000000',
  cli: 'claude',
  payload: { number, text },
  bytes: text.length,
});

const idsOf = (records: readonly SpoolRecord[]) => records.map(({ id }) => id);

describe('frames of the spool', () => {
  it('come back as they were written, whatever text is in them', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 8 }), (texts) => {
        const records = texts.map((text, index) => record(index, text));
        const decoded = decodeFrames(Buffer.concat(records.map(encodeFrame)), false, 100);
        expect(decoded.records).toEqual(records);
        expect(decoded.torn).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('are read up to a torn tail, which is left for its writer', () => {
    const whole = encodeFrame(record(1));
    const torn = encodeFrame(record(2)).subarray(0, -3);
    const decoded = decodeFrames(Buffer.concat([whole, torn]), false, 100);
    expect(idsOf(decoded.records)).toEqual(['id-1']);
    expect(decoded).toMatchObject({ consumed: whole.length, torn: 0 });
  });

  it('are read beyond a frame that was cut at any byte, once a whole one follows', () => {
    const victim = encodeFrame(record(2, 'x'.repeat(50)));
    const next = encodeFrame(record(3));
    for (let kept = 1; kept < victim.length; kept += 1) {
      const bytes = Buffer.concat([encodeFrame(record(1)), victim.subarray(0, kept), next]);
      const decoded = decodeFrames(bytes, false, 100);
      expect(idsOf(decoded.records)).toEqual(['id-1', 'id-3']);
      expect(decoded).toMatchObject({ consumed: bytes.length, torn: 1, tornBytes: kept });
    }
  });

  it('are given up at the end of a closed segment', () => {
    const torn = encodeFrame(record(1)).subarray(0, 20);
    expect(decodeFrames(torn, true, 100)).toMatchObject({ records: [], consumed: 20, torn: 1 });
  });

  it.each([200, 30_000])('with a sector of a body of %i bytes unwritten are torn', (length) => {
    const frame = encodeFrame(record(1, 'y'.repeat(length)));
    for (let sector = 12; sector < frame.length; sector += 512) {
      const damaged = Buffer.from(frame);
      damaged.fill(0, sector, Math.min(sector + 512, frame.length));
      expect(decodeFrames(damaged, true, 100).torn).toBe(1);
    }
  });

  it('are read a batch at a time', () => {
    const bytes = Buffer.concat([1, 2, 3].map((number) => encodeFrame(record(number))));
    const first = decodeFrames(bytes, false, 2);
    const rest = decodeFrames(bytes.subarray(first.consumed), false, 2);
    expect([idsOf(first.records), idsOf(rest.records)]).toEqual([['id-1', 'id-2'], ['id-3']]);
  });
});
