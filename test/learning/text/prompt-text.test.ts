import { expect, test } from 'vitest';
import {
  meaningfulStems,
  nameOf,
  requestText,
  stem,
  wordsOf,
} from '../../../src/learning/text/prompt-text.js';

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

test.each([
  [
    'Great! Can you also show me how to create a decorator that takes parameters?',
    'create_decorator',
  ],
  ['Can you run that example to show the output?', 'run_example'],
  [
    'This is from a different session file to test multi-session handling.',
    'test_multi_session_handling',
  ],
  ['mix phx.server doesnt seem to start', 'mix_phx_server_not_start'],
  [
    'scrolling back in xterm.js still does not work (maybe because the outer page catches it)?',
    'scrolling_back_xterm_js_not_work',
  ],
  ['Please don’t change the public API', 'not_change_public_api'],
  ['/team:create-beads and look for scripts', 'team_create_beads'],
  ['Convert the module to TypeScript', 'convert_module_typescript'],
  ['Fix the login test and run it', 'fix_login_test'],
  ['Is there a way to speed up the CI?', 'speed_ci'],
  ['Can you help me understand how Python decorators work?', 'understand_python_decorators'],
  ['修复登录测试的问题', '修复登录测试的问题'],
  ['can you do it?', undefined],
  ['Since the last release the job shows a deadlock', 'last_release_job_shows'],
  ['Add a NOT NULL column to the table', 'add_not_null_column'],
])('a group of prompts that begins with "%s" is called %s', (prompt, name) => {
  expect(nameOf(prompt, new Set(wordsOf(prompt)))).toBe(name);
});

test('a group of prompts is called by words that most of them have, and by no more than a column has room for', () => {
  expect(nameOf('Fix the flaky login test', new Set(['fix', 'flaky', 'test']))).toBe(
    'fix_flaky_test',
  );
  expect(nameOf(`${'extraordinarily '.repeat(5)}long`, new Set(['extraordinarily', 'long']))).toBe(
    'extraordinarily_long',
  );
  const word = 'x'.repeat(900);
  expect(nameOf(word, new Set([word.slice(0, 40)]))).toHaveLength(512);
});
