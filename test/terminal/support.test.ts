import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { clipboardCopy, maxCopyBytes } from '../../src/terminal/clipboard.js';
import { keepSecret, LogFile, logFilePath, redactSecrets } from '../../src/core/log-file.js';
import { colourSupport, unicodeSupport } from '../../src/terminal/support.js';

describe('colourSupport', () => {
  it.each([
    [{ TERM: 'xterm-256color' }, '256'],
    [{ TERM: 'xterm-256color', COLORTERM: 'truecolor' }, 'truecolor'],
    [{ TERM: 'xterm-kitty' }, 'truecolor'],
    [{ TERM: 'linux' }, '16'],
    [{ TERM: 'dumb' }, 'none'],
    [{}, 'none'],
    [{ TERM: 'xterm-256color', NO_COLOR: '1' }, 'none'],
    [{ TERM: 'xterm-256color', NO_COLOR: '' }, '256'],
    [{ TERM: 'dumb', NO_COLOR: '1', FORCE_COLOR: '3' }, 'truecolor'],
    [{ TERM: 'xterm', COLORTERM: 'truecolor', FORCE_COLOR: '0' }, 'none'],
    [{ TERM: 'xterm-256color', FORCE_COLOR: 'constructor' }, '256'],
    [{ TERM: 'dumb', FORCE_COLOR: '__proto__' }, '16'],
  ])('%j has %s', (environment, support) => {
    expect(colourSupport(environment, true)).toBe(support);
  });

  it('gives a pipe colours only when they are forced', () => {
    expect(colourSupport({ TERM: 'xterm-256color' }, false)).toBe('none');
    expect(colourSupport({ TERM: 'xterm-256color', FORCE_COLOR: '1' }, false)).toBe('16');
  });
});

describe('unicodeSupport', () => {
  it.each([
    [{ LANG: 'de_DE.UTF-8' }, true],
    [{ LANG: 'C.utf8' }, true],
    [{ LANG: 'de_DE.UTF-8', LC_ALL: 'C' }, false],
    [{ LC_CTYPE: 'en_US.ISO-8859-1', LANG: 'en_US.UTF-8' }, false],
    [{ LANG: 'en_US.UTF-8', TERM: 'linux' }, false],
    [{}, false],
  ])('%j: %s', (environment, isUnicode) => {
    expect(unicodeSupport(environment, 'linux')).toBe(isUnicode);
  });
});

describe('clipboardCopy', () => {
  it('cuts at a character what is too long for terminals', () => {
    const copy = clipboardCopy('é'.repeat(50_000) + 'x', {});
    expect(copy).toMatchObject({ isCut: true, copiedBytes: maxCopyBytes });
    const text = Buffer.from(copy.sequence.slice(7, -1), 'base64').toString();
    expect(text).toBe('é'.repeat(maxCopyBytes / 2));
  });

  it('passes through tmux with doubled escapes', () => {
    expect(clipboardCopy('a', { TMUX: '/tmp/x,1,0' }).sequence).toBe(
      '\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\',
    );
  });
});

describe('redactSecrets', () => {
  it('hides passwords and tokens in URLs and pairs', () => {
    expect(redactSecrets('postgresql://me:pa%40ss@host:5432/db')).toBe(
      'postgresql://me:***@host:5432/db',
    );
    expect(redactSecrets("host=x password='a b' user=y")).toBe('host=x password=*** user=y');
    expect(redactSecrets('PGPASSWORD=abc {"token": "t"}')).toBe('PGPASSWORD=*** {"token": ***}');
  });
});

describe('LogFile', () => {
  it('keeps two bounded files for their owner only', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-log-'));
    const log = new LogFile(logFilePath({ XDG_STATE_HOME: folder }));
    expect(log.hasEntries).toBe(false);
    for (let entry = 0; entry < 300; entry++) log.write('info', `${entry} ${'x'.repeat(20_000)}`);
    const names = fs.readdirSync(path.dirname(log.path));
    expect(names.sort()).toEqual(['console.log', 'console.log.1']);
    for (const name of names) {
      const { size, mode } = fs.statSync(path.join(path.dirname(log.path), name));
      expect(size).toBeLessThan(1_100_000);
      expect(mode & 0o777).toBe(0o600);
    }
    fs.rmSync(folder, { recursive: true });
  });

  it('takes a password out before an entry is cut', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-log-'));
    const log = new LogFile(logFilePath({ XDG_STATE_HOME: folder }));
    keepSecret('hunter2-correct-horse', ['app']);
    log.write('error', `${'x '.repeat(8_189)}hunter2-correct-horse`);
    log.write('error', `${'x '.repeat(8_180)}postgres://app:other-horse@db`);
    expect(fs.readFileSync(log.path, 'utf8')).not.toMatch(/hunt|othe/);
    fs.rmSync(folder, { recursive: true });
  });

  it('drops entries where nothing can be written', () => {
    const log = new LogFile('/dev/null/console.log');
    expect(() => log.write('error', 'lost')).not.toThrow();
  });
});
