import { afterEach, expect, test } from 'vitest';
import { parseMoment, formatMoment, showTimesIn } from '../../../src/core/format/time.js';

afterEach(() => showTimesIn('local'));

const now = Date.UTC(2026, 10, 25, 9, 30, 20);

function named(text: string): number | undefined | string {
  const found = parseMoment(text, now);
  return 'error' in found ? found.error : found.untilMs;
}

test.each([
  ['14:05', Date.UTC(2026, 10, 24, 14, 5)],
  ['9:30', Date.UTC(2026, 10, 25, 9, 30)],
  ['09:30:21', Date.UTC(2026, 10, 24, 9, 30, 21)],
  ['2026-11-24 14:05', Date.UTC(2026, 10, 24, 14, 5)],
  ['2026-11-24T14:05:09', Date.UTC(2026, 10, 24, 14, 5, 9)],
  ['2026-11-24 14:05 UTC', Date.UTC(2026, 10, 24, 14, 5)],
  ['2026-11-24T14:05:00Z', Date.UTC(2026, 10, 24, 14, 5)],
  ['2026-11-24 14:05+01:00', Date.UTC(2026, 10, 24, 13, 5)],
  ['2026-11-24 14:05 -0530', Date.UTC(2026, 10, 24, 19, 35)],
  // There it is 10:30 of the same day.
  ['10:00 +01:00', Date.UTC(2026, 10, 25, 9, 0)],
  ['  Yesterday   23:59 ', Date.UTC(2026, 10, 24, 23, 59)],
  ['today 00:00', Date.UTC(2026, 10, 25)],
  ['2h ago', now - 7_200_000],
  ['-90m', now - 5_400_000],
  ['- 1d', now - 86_400_000],
  ['now', undefined],
])('"%s" is a moment', (text, expected) => {
  showTimesIn('utc');
  expect(named(text)).toBe(expected);
});

test.each([
  ['', '"" is no moment.'],
  ['soon', '"soon" is no moment.'],
  ['-soon', '"-soon" is no moment.'],
  ['2h', '"2h" is no moment.'],
  ['25:00', 'There is no 25:00.'],
  ['2026-02-30 10:00', 'There is no 2026-02-30.'],
  ['2026-13-01 10:00', 'There is no 2026-13-01.'],
  ['2026-11-24', '2026-11-24 needs a time, too.'],
  ['2026-11-25 09:31', '2026-11-25 09:31 UTC is still to come.'],
])('"%s" is none, and it is said why', (text, message) => {
  showTimesIn('utc');
  const found = parseMoment(text, now);
  expect(found).toMatchObject({
    error: message,
    hint: expect.stringContaining('2h ago') as string,
  });
});

test('without a zone it is in the zone in which moments are shown', () => {
  showTimesIn('local');
  const expected = new Date(2026, 10, 24, 14, 5);
  expect(named('2026-11-24 14:05')).toBe(expected.getTime());
  expect(formatMoment(expected)).toBe('2026-11-24 14:05 local');
  showTimesIn('utc');
  expect(named('2026-11-24 14:05')).toBe(Date.UTC(2026, 10, 24, 14, 5));
  expect(formatMoment(new Date(Date.UTC(2026, 10, 24, 14, 5, 7)))).toBe('2026-11-24 14:05:07 UTC');
});
