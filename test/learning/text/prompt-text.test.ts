import { expect, test } from 'vitest';
import { meaningfulStems, requestText, stem } from '../../../src/learning/text/prompt-text.js';

test('leaves what is asked for, without what it is asked about', () => {
  expect(requestText('Split src/tax/vat.ts, it has 12 responsibilities now.')).toBe(
    'Split , it has responsibilities now.',
  );
  expect(requestText('Why?\n```ts\nconst secret = 1;\n```\nFix it')).toBe('Why? Fix it');
  expect(
    requestText(
      'Look:\n12:03:04.120 INFO api request=1\nTraceback (most recent call last):\nwhat broke?',
    ),
  ).toBe('Look: what broke?');
  expect(requestText('open https://example.org/a?b=c and "the thing"')).toBe('open and');
});

test('a prompt of a megabyte is cut', () => {
  expect(requestText('word '.repeat(200_000)).length).toBeLessThanOrEqual(1_000);
});

test('brings the forms of a word together', () => {
  expect(new Set(['fails', 'failed', 'failing', 'fail'].map(stem)).size).toBe(1);
  expect(new Set(['update', 'updates', 'updated', 'updating'].map(stem)).size).toBe(1);
  expect(stem('stopping')).toBe(stem('stop'));
  expect(stem('process')).toBe('process');
  expect(meaningfulStems('go on with it')).toEqual([]);
});
