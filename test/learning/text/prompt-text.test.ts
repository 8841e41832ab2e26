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

test('leaves out what is only polite, and keeps names that look like files', () => {
  expect(requestText('Hello Claude! Can you help me understand how Python decorators work?')).toBe(
    'understand how Python decorators work?',
  );
  expect(requestText('Great! Can you also show me how to create one?')).toBe(
    'show me how to create one?',
  );
  expect(requestText('Create a hello world function')).toBe('Create a hello world function');
  expect(requestText('great performance is needed here')).toBe('great performance is needed here');
  expect(requestText('scrolling in xterm.js of src/app.js and util.js')).toBe(
    'scrolling in xterm.js of and',
  );
  expect(meaningfulStems("here's what we're after")).toEqual([]);
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
