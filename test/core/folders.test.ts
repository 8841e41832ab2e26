import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createFolder } from '../../src/core/create-folder.js';
import { consoleFolder, homeFolder, readTextFile } from '../../src/core/folders.js';

it('takes an empty or relative HOME as not set, as libpq does', () => {
  expect(homeFolder({ HOME: '/h' })).toBe('/h');
  for (const HOME of ['', 'relative']) expect(homeFolder({ HOME })).toBe(userInfo().homedir);
});

it('ignores relative folders of XDG', () => {
  expect(consoleFolder('state', { XDG_STATE_HOME: '/s' })).toBe('/s/trace-console');
  expect(consoleFolder('config', { XDG_CONFIG_HOME: 'x', HOME: '/h' })).toBe(
    '/h/.config/trace-console',
  );
});

it('creates folders private to their owner, and gives up where none can be created', () => {
  const base = mkdtempSync(join(tmpdir(), 'trace-console-folders-'));
  createFolder(join(base, 'a/b'));
  createFolder(join(base, 'a/b'));
  expect(statSync(join(base, 'a')).mode & 0o777).toBe(0o700);
  expect(() => createFolder('/proc/nobody/a/b')).toThrow(/ENOENT/);
});

it('reads what somebody has named up to a limit: a device that never ends is too large', () => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-read-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'text');
  writeFileSync(file, 'ä'.repeat(700_000));
  expect(readTextFile(file)).toBe('ä'.repeat(700_000));
  expect(readTextFile(file, 1_400_000)).toHaveLength(700_000);
  expect(() => readTextFile(file, 1_399_999)).toThrow(/EFBIG/);
  expect(() => readTextFile('/dev/zero', 3_000_000)).toThrow(/EFBIG/);
  expect(() => readTextFile(folder)).toThrow(expect.objectContaining({ path: folder }) as Error);
  expect(readTextFile('/dev/null')).toBe('');
});

it('reads a pipe to its end, and waits for none into which nobody writes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-pipe-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(() => readTextFile(pipe)).toThrow(/ETIMEDOUT: it is a pipe or device from which nothing/);
  // As with `<(…)` somebody has it open before it is read, and takes his time.
  const writer = openSync(pipe, 'r+');
  spawn('sh', ['-c', `printf 'one '; sleep 0.4; printf two`], {
    stdio: ['ignore', writer, 'ignore'],
  });
  closeSync(writer);
  expect(readTextFile(pipe)).toBe('one two');
  // Who had it open has said nothing: while it is read, and before.
  const silent = openSync(pipe, 'r+');
  spawn('sleep', ['0.3'], { stdio: ['ignore', silent, 'ignore'] });
  closeSync(silent);
  expect(readTextFile(pipe)).toBe('');
  const given = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(given));
  expect(readTextFile(`/dev/fd/${given}`)).toBe('');
});
