import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import {
  chooseSocketFolder,
  resolveDataFolder,
  socketFile,
  databaseExists,
  ensurePrivateFolder,
  forSocket,
} from '../../../src/embedded/folder/paths.js';
import { openWithTraffic, takeTurn } from '../../../src/cli/demo-companion.js';
import { forSpool } from '../../../src/ingest/spool/append.js';
import { readTar } from '../../../src/embedded/folder/template.js';

let base: string;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-folder-'));
});

afterEach(() => fs.rmSync(base, { recursive: true, force: true }));

test('puts the data where XDG says, or where the caller says', () => {
  expect(resolveDataFolder(undefined, { XDG_DATA_HOME: '/data' })).toBe(
    '/data/trace-console/embedded',
  );
  expect(resolveDataFolder(undefined, { HOME: '/home/ada', XDG_DATA_HOME: 'relative' })).toBe(
    '/home/ada/.local/share/trace-console/embedded',
  );
  expect(resolveDataFolder('/x/../y')).toBe('/y');
});

test('keeps the socket short however long the data folder is, one for each folder', () => {
  const long = path.join(base, 'd'.repeat(120), 'e'.repeat(120));
  fs.mkdirSync(long, { recursive: true });
  fs.symlinkSync(long, path.join(base, 'link'));
  const folder = chooseSocketFolder(long, {});
  expect(Buffer.byteLength(socketFile(folder))).toBeLessThanOrEqual(103);
  expect(chooseSocketFolder(path.join(base, 'link'), {})).toBe(folder);
  expect(chooseSocketFolder(base, {})).not.toBe(folder);
  expect(chooseSocketFolder(base, { XDG_RUNTIME_DIR: base })).toContain(base);
  expect(chooseSocketFolder(base, { XDG_RUNTIME_DIR: path.join(base, 'missing') })).not.toContain(
    'missing',
  );
});

function thrownBy(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('creates private folders, and refuses those that others can enter', () => {
  const folder = path.join(base, 'a/b');
  ensurePrivateFolder(folder);
  expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
  ensurePrivateFolder(folder);
  fs.chmodSync(folder, 0o750);
  fs.writeFileSync(path.join(folder, 'file'), '');
  expect(() => ensurePrivateFolder(folder)).toThrow(/entered by others/);
  for (const [use, setting] of [
    [undefined, '--data-dir or XDG_DATA_HOME'],
    [forSpool, 'TRACE_CONSOLE_SPOOL'],
    [forSocket, 'XDG_RUNTIME_DIR or TMPDIR'],
  ] as const) {
    const hint = `Make it yours alone (chmod 700 ${folder}), or choose another with ${setting}.`;
    expect(thrownBy(() => ensurePrivateFolder(folder, use))).toMatchObject({ hint });
    const within = path.join(folder, 'file/folder');
    expect(thrownBy(() => ensurePrivateFolder(within, use))).toMatchObject({
      message: `The folder ${within} cannot be used: something on the way is a file, not a folder.`,
      hint: expect.stringContaining(`Choose another folder with ${setting}`) as string,
    });
  }
  fs.symlinkSync(folder, path.join(base, 'link'));
  expect(() => ensurePrivateFolder(path.join(base, 'link'))).toThrow(/no folder/);
});

test('says which folder the demo cannot use, and what chooses another', async () => {
  const file = path.join(base, 'a-file');
  fs.writeFileSync(file, '');
  vi.stubEnv('XDG_DATA_HOME', file);
  onTestFinished(() => void vi.unstubAllEnvs());
  const error = {
    code: 'file_failed',
    message: `The folder ${file}/trace-console cannot be used: something on the way is a file, not a folder.`,
    hint: 'Choose another folder with XDG_DATA_HOME.',
  };
  const open = () => Promise.reject(new Error('it is not asked for'));
  await expect(openWithTraffic(open, () => undefined)).rejects.toMatchObject(error);
  const { signal } = new AbortController();
  await expect(takeTurn(() => undefined, signal)).rejects.toMatchObject(error);
});

test.runIf(process.getuid?.() === 0)('refuses a folder of another user', () => {
  fs.mkdirSync(path.join(base, 'theirs'), { mode: 0o700 });
  fs.chownSync(path.join(base, 'theirs'), 65534, 65534);
  expect(() => ensurePrivateFolder(path.join(base, 'theirs'))).toThrow(/another user/);
});

test('refuses the files of another PostgreSQL version, and says which', () => {
  const folder = path.join(base, 'postgres');
  expect(databaseExists(folder)).toBe(false);
  fs.mkdirSync(folder);
  expect(() => databaseExists(folder)).toThrow(/holds no database/);
  fs.writeFileSync(path.join(folder, 'PG_VERSION'), '17\n');
  expect(() => databaseExists(folder)).toThrow(/made by PostgreSQL 17/);
  fs.writeFileSync(path.join(folder, 'PG_VERSION'), '18\n');
  expect(databaseExists(folder)).toBe(true);
});

test('refuses archives that are cut off or hold links', () => {
  const header = Buffer.alloc(512);
  header.write('name');
  header.write('00000001000', 124);
  header.write('0', 156);
  expect(() => [...readTar(header)]).toThrow(/cut off/);
  header.write('2', 156);
  expect(() => [...readTar(header)]).toThrow(/unknown kind/);
});
