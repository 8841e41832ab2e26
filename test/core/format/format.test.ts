import { fc } from '../../helpers/seeds.js';
import { expect, test } from 'vitest';
import {
  counted,
  countedShort,
  formatByteChange,
  formatBytes,
  formatMoney,
  formatCount,
  formatRate,
  formatShare,
  withSeparators,
} from '../../../src/core/format/number.js';
import {
  formatAge,
  formatDuration,
  formatSpan,
  intervalText,
  parseDuration,
  formatClock,
  formatClockNear,
  formatTimestamp,
} from '../../../src/core/format/time.js';

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [999.6, '1.00s'],
  [1_250, '1.25s'],
  [12_340, '12.3s'],
  [59_960, '1m00s'],
  [245_000, '4m05s'],
  [3_599_600, '1h00m'],
  [7_500_000, '2h05m'],
  [86_400_000 * 3 + 3_600_000 * 4, '3d04h'],
  [86_400_000 * 412, '412d'],
  [-1_250, '-1.25s'],
])('a duration of %d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [8_192, '8.0 kB'],
  [490 * 1024 * 1024, '490 MB'],
  [1.24 * 1024 ** 4, '1.2 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0, '0'],
  [1_234, '1,234'],
  [99_999, '99,999'],
  [100_000, '100k'],
  [408_490, '408k'],
  [999_600, '1.00M'],
  [1_250_000, '1.25M'],
  [12_500_000, '12.5M'],
])('a count of %d is %s', (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test.each([
  [0, '0%'],
  [0.0004, '<.1%'],
  [0.004, '0.4%'],
  [0.12, '12%'],
  [0.9999, '99%'],
  [1, '100%'],
])('a share of %d is %s', (share, text) => {
  expect(formatShare(share)).toBe(text);
});

test.each([
  [0, '0/s'],
  [0.03, '<.1/s'],
  [0.4, '0.4/s'],
  [51.4, '51/s'],
  [1_234, '1.2k/s'],
])('a rate of %d is %s', (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

test('a rate of sizes has their unit, one of things is of what stands beside it', () => {
  expect(['MB', 'kB', 'traces'].map((unit) => formatRate(3.14, unit))).toEqual([
    '3.1 MB/s',
    '3.1 kB/s',
    '3.1/s',
  ]);
});

test.each([
  [300, 'now'],
  [12_000, '12s'],
  [3_599_999, '59m'],
  [86_400_000 * 90, '90d'],
  [86_400_000 * 999, '999d'],
  [86_400_000 * 1_060, '2.9y'],
  [86_400_000 * 366 * 55, '55y'],
])('an age of %d ms is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test('nothing grows wider than its column, whatever the value', () => {
  const positive = fc.double({ min: 0, max: 1e15, noNaN: true });
  fc.assert(
    fc.property(positive, (value) => {
      expect(formatDuration(Math.min(value, 86_400_000 * 99_999)).length).toBeLessThanOrEqual(6);
      expect(formatAge(value).length).toBeLessThanOrEqual(4);
      expect(formatBytes(value).length).toBeLessThanOrEqual(7);
      expect(formatByteChange(value).length).toBeLessThanOrEqual(8);
      expect(formatCount(value).length).toBeLessThanOrEqual(6);
      expect(formatRate(value).length).toBeLessThanOrEqual(6);
      expect(formatShare(value / 1e15).length).toBeLessThanOrEqual(4);
    }),
  );
});

test('what is not known is a dash', () => {
  for (const format of [
    formatDuration,
    formatAge,
    formatBytes,
    formatCount,
    formatRate,
    formatShare,
  ]) {
    expect([format(null), format(undefined), format(Infinity), format(NaN)]).toEqual([
      '–',
      '–',
      '–',
      '–',
    ]);
  }
  expect([formatClock(null), formatTimestamp(new Date(NaN))]).toEqual(['–', '–']);
});

test('times are in the time zone of the reader', () => {
  const time = new Date(2026, 2, 1, 4, 3, 7);
  expect(formatClock(time)).toBe('04:03:07');
  expect(formatTimestamp(time)).toBe('2026-03-01 04:03:07');
});

test('a clock time has its date where that is another day than now', () => {
  const now = new Date(2026, 2, 1, 0, 5, 0).getTime();
  expect(formatClockNear(new Date(2026, 2, 1, 0, 3, 7), now)).toBe('00:03:07');
  expect(formatClockNear(new Date(2026, 1, 28, 23, 59, 7), now)).toBe('02-28 23:59:07');
});

test('one of a kind is named in the singular', () => {
  expect([0, 1, 2_000].map((count) => counted(count, 'call'))).toEqual([
    ...['0 calls', '1 call', '2,000 calls'],
  ]);
  expect(['index', 'entry', 'day', 'match'].map((one) => counted(2, one))).toEqual([
    ...['2 indexes', '2 entries', '2 days', '2 matches'],
  ]);
  expect(countedShort(1_250_000, 'token')).toBe('1.25M tokens');
});

test('reads the spans that it writes, and nothing else', () => {
  for (const text of ['30s', '5m', '1h', '7d'])
    expect(formatSpan(parseDuration(text) ?? 0)).toBe(text);
  expect(['90s', '119s', '1207s'].map((text) => formatSpan(parseDuration(text) ?? 0))).toEqual([
    ...['90s', '119s', '20m07s'],
  ]);
  expect(parseDuration('1.5h')).toBe(5_400_000);
  expect(parseDuration('500ms')).toBe(500);
  expect(parseDuration('2w')).toBe(14 * 86_400_000);
  expect(parseDuration('1 day')).toBe(86_400_000);
  expect(parseDuration('90 Days')).toBe(90 * 86_400_000);
  for (const text of ['', '1', 'h', '-1h', '0s', '1 year', '1h30m', '99999999d', '36526d']) {
    expect(parseDuration(text)).toBeUndefined();
  }
});

test.each([
  ['1d', '1 day'],
  ['2w', '14 days'],
  ['1.5d', '36 hours'],
  ['90s', '90 seconds'],
  ['250ms', '250 milliseconds'],
])('%s is %s to PostgreSQL, and is read again as the same span', (text, interval) => {
  const ms = parseDuration(text) ?? NaN;
  expect(intervalText(ms)).toBe(interval);
  expect(parseDuration(interval)).toBe(ms);
});

test('separators stand between thousands', () => {
  expect([0, 999, 1_000, 1_234_567].map(withSeparators)).toEqual([
    '0',
    '999',
    '1,000',
    '1,234,567',
  ]);
});

test('writes money in 8 columns, however much or little it is', () => {
  const amounts = [0, 0.00001, 0.0031, 0.42, 12.5, 999.99, 1204, 1_250_000, -3, null];
  const texts = amounts.map((usd) => formatMoney(usd));
  expect(texts).toEqual([
    '$0',
    '<$.0001',
    '$0.0031',
    '$0.42',
    '$12.50',
    '$999.99',
    '$1,204',
    '$1.25M',
    '-$3.00',
    '–',
  ]);
  for (const text of texts) expect(text.length).toBeLessThanOrEqual(8);
});
