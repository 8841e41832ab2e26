import { fc } from '../helpers/seeds.js';
import { expect, it } from 'vitest';
import { ExactNumber, exactJson, exactNumber, parseExactJson } from '../../src/core/exact-json.js';

const written = [
  '1005254182451511297',
  '-9007199254740993',
  '1e400',
  '1E-400',
  '0.12345678901234567890',
  '123456789012345678901234567890.5',
  '1000000000000000000000',
];

it.each(written)('%s comes back to the digit, wherever it stands', (number) => {
  const text = `{"a":[${number},{"b":${number}}],"c":"${number}"}`;
  expect(exactJson(parseExactJson(text))).toBe(text);
  expect(exactJson(parseExactJson(number))).toBe(number);
});

it('numbers that JavaScript holds stay numbers', () => {
  for (const text of ['0', '-1', '0.1', '1.10', '9007199254740991', '0.30000000000000004', '1e3']) {
    expect(exactNumber(text)).toBe(Number(text));
  }
  expect(exactNumber('9007199254740993')).toBeInstanceOf(ExactNumber);
});

it('any other JSON is read and written as JSON is', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(parseExactJson(text)).toEqual(JSON.parse(text));
      expect(exactJson(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
    { seed: 20260701, numRuns: 300 },
  );
});

it('integers of any length come back to the digit', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt()), fc.string(), (numbers, name) => {
      const text = `{${JSON.stringify(name)}:[${numbers.join(',')}]}`;
      expect(exactJson(parseExactJson(text))).toBe(text);
    }),
    { seed: 20260702, numRuns: 300 },
  );
});

it('reads what is nested deeper than a stack', () => {
  const depth = 5_000;
  const text = `${'['.repeat(depth)}12345678901234567890${']'.repeat(depth)}`;
  let value = parseExactJson(text);
  for (let at = 0; at < depth; at += 1) value = (value as unknown[])[0];
  expect(String(value)).toBe('12345678901234567890');
});

it('writes what is nested deeper than a stack, also with indents', () => {
  const depth = 100_000;
  const text = `${'[{"a":null,"b":'.repeat(depth)}[1.5,"\\"",12345678901234567890]${'}]'.repeat(depth)}`;
  const value = parseExactJson(text);
  expect(exactJson(value) === text).toBe(true);
  expect(exactJson(value, 2) === text).toBe(true);
  let odd: unknown = [new Date(0), undefined, Number.NaN];
  for (let at = 0; at < depth; at += 1) odd = [{ left: undefined, odd }];
  const written = exactJson(odd);
  expect(written.slice(depth * 8, -2 * depth)).toBe('["1970-01-01T00:00:00.000Z",null,null]');
});
