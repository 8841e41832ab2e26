import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  FolderLock,
  isDamaged,
  isHeld,
  lockFileName,
  readLock,
  thisProcess,
} from '../../src/core/folder-lock.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-lock-'));
  file = path.join(folder, lockFileName);
});

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const write = (holder: object): void => fs.writeFileSync(file, JSON.stringify(holder));
const holder = { ...thisProcess(), nonce: 'other', socketFolder: '/nowhere' };

test('is exclusive until it is given back', () => {
  const lock = FolderLock.acquire(folder, '/socket');
  expect(lock?.isOurs).toBe(true);
  expect(readLock(file)).toMatchObject({ pid: process.pid, socketFolder: '/socket' });
  expect(FolderLock.acquire(folder, '/other')).toBeUndefined();
  lock?.release();
  expect(FolderLock.acquire(folder, '/other')?.isOurs).toBe(true);
  expect(fs.readdirSync(folder)).toEqual([lockFileName]);
});

test('writes nothing beside a process that lives: on a full disk the room is his', () => {
  write(holder);
  const past = new Date(0);
  fs.utimesSync(folder, past, past);
  expect(FolderLock.acquire(folder, '')).toBeUndefined();
  expect(fs.statSync(folder).mtimeMs).toBe(0);
});

test('takes a pipe in its place for damaged, and does not wait for who writes into it', () => {
  execFileSync('mkfifo', [file]);
  const read = readLock(file);
  expect(read && isDamaged(read)).toBe(true);
  const past = new Date(0);
  fs.utimesSync(file, past, past);
  expect(FolderLock.acquire(folder, '')?.isOurs).toBe(true);
});

test('takes over from a process that has died', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.on('exit', resolve));
  write({ ...holder, pid: child.pid });
  expect(FolderLock.acquire(folder, '')?.isOurs).toBe(true);
});

test('takes over when the process id belongs to another process now', () => {
  write({ ...holder, started: 'long ago' });
  expect(FolderLock.acquire(folder, '')?.isOurs).toBe(true);
});

test('never takes over from a process that lives', () => {
  write(holder);
  expect(FolderLock.acquire(folder, '')).toBeUndefined();
  expect(readLock(file)?.nonce).toBe('other');
});

test('believes a holder in another container while it gives signs of life', () => {
  write({ ...holder, pid: 1, place: 'another-machine boot pid:[1]' });
  const other = readLock(file);
  if (other === undefined) throw new Error('no lock');
  expect(isHeld(file, other)).toBe(true);
  const old = new Date(Date.now() - 120_000);
  fs.utimesSync(file, old, old);
  expect(isHeld(file, other)).toBe(false);
  expect(FolderLock.acquire(folder, '')?.isOurs).toBe(true);
});

test('takes over a lock that a crash of the machine has emptied, when nobody touches it', () => {
  fs.writeFileSync(file, '');
  expect(FolderLock.acquire(folder, '')).toBeUndefined();
  const old = new Date(Date.now() - 120_000);
  fs.utimesSync(file, old, old);
  expect(FolderLock.acquire(folder, '')?.isOurs).toBe(true);
});

test('does not remove the lock of somebody else on release', () => {
  const lock = FolderLock.acquire(folder, '');
  write(holder);
  expect(lock?.isOurs).toBe(false);
  lock?.release();
  expect(readLock(file)?.nonce).toBe('other');
});

test('one of many that find the same dead holder at once gets the lock', async () => {
  const program = path.join(import.meta.dirname, 'take-lock.ts');
  const children: ChildProcess[] = Array.from({ length: 6 }, () =>
    fork(program, [folder], { execArgv: ['--import', 'tsx'] }),
  );
  try {
    const next = (child: ChildProcess): Promise<unknown> =>
      new Promise((resolve) => child.once('message', resolve));
    await Promise.all(children.map(next));
    for (let round = 0; round < 30; round += 1) {
      write({ ...holder, pid: 0x3fff_ffff, nonce: `dead${round}` });
      const answers = children.map(next);
      for (const child of children) child.send('take');
      expect((await Promise.all(answers)).filter((answer) => answer === 'taken')).toHaveLength(1);
      fs.rmSync(file);
    }
  } finally {
    for (const child of children) child.kill();
  }
}, 60_000);
