import { expect, test } from 'vitest';
import {
  categoryOf,
  errorTypeOf,
  mergeTokens,
  messageTokens,
} from '../../../src/learning/learner/error-book.js';

const normal = (message: string) => messageTokens(message).join(' ');

test('leaves out what changes from one occurrence to the next', () => {
  expect(normal('request req_011CVabc took 1,204 ms')).toBe('request <id> took <n>');
  expect(normal('ENOENT: no such file or directory, open "/home/ada/app/src/x.ts"')).toBe(
    'no such file or directory, open <text>',
  );
  expect(normal('cannot find module ../lib/tax.js from src/index.ts')).toBe(
    'cannot find module <path> from <path>',
  );
  expect(normal('GET https://api.example.org/v1/x?y=1 gave 503')).toBe('GET <url> gave <n>');
  expect(normal('row 729c859d-6622-4380-9a6b-ebd5758d4f48 is gone')).toBe('row <id> is gone');
  expect(normal('\n\nbash: foo: command not found\n at line 3')).toBe('foo: command not found');
});

test('a message of a megabyte costs no more than its start', () => {
  const begun = performance.now();
  expect(messageTokens('"'.repeat(1_000_000)).length).toBeLessThan(50);
  expect(messageTokens('a/'.repeat(500_000)).length).toBeLessThan(50);
  expect(performance.now() - begun).toBeLessThan(1_000);
});

test('messages that differ in a name are of one family, others are not', () => {
  const template = messageTokens('hook format-on-save exited with code 1');
  const merged = mergeTokens(template, messageTokens('hook secret-scan exited with code 137'));
  expect(merged?.join(' ')).toBe('hook <*> exited with code <n>');
  expect(
    mergeTokens(merged ?? [], messageTokens('tests of retry path still fail here')),
  ).toBeUndefined();
  expect(mergeTokens(template, messageTokens('no healthy upstream'))).toBeUndefined();
});

test('knows the kind of an error by its type and words', () => {
  expect(categoryOf('APIError', '429 Too Many Requests')).toBe('network');
  expect(categoryOf('Error', 'read ECONNRESET')).toBe('network');
  expect(categoryOf('TypeCheckError', '3 errors found by the type checker')).toBe('validation');
  expect(categoryOf('Error', 'File has not been read yet. Read it first')).toBe('validation');
  expect(categoryOf('Error', 'JavaScript heap out of memory')).toBe('system');
  expect(categoryOf('ToolExecutionError', 'command exited with code 1')).toBe('integration');
});

test('an error without a type has that of its message', () => {
  expect(errorTypeOf('', 'TypeError: x is not a function')).toBe('TypeError');
  expect(errorTypeOf(null, 'it broke')).toBe('Error');
  expect(errorTypeOf('RateLimitError', 'TypeError: x')).toBe('RateLimitError');
});
