import { fc } from '../../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { ConsoleError } from '../../../src/db/errors.js';
import {
  decodeValue,
  encodeValue,
  applyRowDelta,
  rowDelta,
} from '../../../src/live/recording/frame.js';

const through = (value: unknown) => decodeValue(JSON.parse(JSON.stringify(encodeValue(value))));

describe('a value in a recording', () => {
  it('comes back as it was, whatever rows hold', () => {
    const key = fc.oneof(fc.string(), fc.constant('$'));
    // JSON has no negative zero, and no row means one.
    const number = fc.double().map((each) => (Object.is(each, -0) ? 0 : each));
    const { any } = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        number,
        fc.boolean(),
        fc.constant(null),
        fc.bigInt(),
        fc.date({ noInvalidDate: true }),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(key, tie('any'), { maxKeys: 4, noNullPrototype: true }),
        fc.array(fc.tuple(fc.string(), tie('any')), { maxLength: 3 }).map((all) => new Map(all)),
      ),
    }));
    fc.assert(
      fc.property(any, (value) => {
        expect(through(value)).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps an error with its code and hint', () => {
    const error = new ConsoleError('lock_timeout', 'locked', { hint: 'wait', sqlState: '55P03' });
    expect(through(error)).toMatchObject({ code: 'lock_timeout', message: 'locked', hint: 'wait' });
    expect(through(error)).toBeInstanceOf(ConsoleError);
  });
});

describe('the rows of one reading by those of the one before', () => {
  const rows = fc.array(
    fc.record({ id: fc.integer({ min: 0, max: 9 }), at: fc.date({ noInvalidDate: true }) }),
  );

  it('are the same rows again, in their order', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const delta = JSON.parse(JSON.stringify(rowDelta(before, after))) as [];
        expect(applyRowDelta(before, delta)).toEqual(after);
      }),
    );
  });

  it('cost of a long tail only what is new', () => {
    const tail = Array.from({ length: 1_000 }, (_, id) => ({ id }));
    const next = [...tail.slice(2), { id: 1_000 }, { id: 1_001 }];
    expect(rowDelta(tail, next)).toEqual([[2, 998], { id: 1_000 }, { id: 1_001 }]);
  });

  it('are refused when they are not those of the reading before', () => {
    expect(() => applyRowDelta([], [[0, 3]])).toThrow(RangeError);
  });
});
