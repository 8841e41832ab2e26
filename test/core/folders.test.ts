import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFolder } from '../../src/core/create-folder.js';
import { consoleFolder, homeFolder } from '../../src/core/folders.js';

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
