import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it, onTestFinished } from 'vitest';
import { Neighbours } from '../../../src/ingest/sources/claude-neighbours.js';

const uuidOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

function folderOf(): string {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'trace-console-neighbours-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

it('keeps nothing of the beginnings of files that it has looked at', () => {
  const folder = folderOf();
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const files = Array.from({ length: 100 }, (_, index) => path.join(folder, `${index}.jsonl`));
  for (const [index, file] of files.entries()) {
    fs.writeFileSync(file, JSON.stringify({ uuid: uuidOf(index), text: 'word – '.repeat(10_000) }));
  }
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (const file of files) expect(new Neighbours(file).findOrigin()).toBeUndefined();
  collectGarbage();
  // All beginnings together are 13 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(3 << 20);
});

it('finds the file that another is a copy of, also where it has come since the folder was listed', () => {
  const folder = folderOf();
  const write = (name: string, index: number) => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, `${JSON.stringify({ uuid: uuidOf(index) })}\n`);
    return file;
  };
  const origin = write('origin.jsonl', 1_000);
  expect(new Neighbours(origin).findOrigin()).toBeUndefined();
  // A folder's time may be as coarse as a few milliseconds.
  fs.utimesSync(folder, 1, 1);
  expect(new Neighbours(origin).findOrigin()).toBeUndefined();
  const copy = write('copy.jsonl', 1_000);
  const neighbours = new Neighbours(copy);
  expect(neighbours.findOrigin()).toBe(origin);
  expect(neighbours.isCopiedFrom(origin, uuidOf(1_000))).toBe(true);
  expect(neighbours.isCopiedFrom(origin, uuidOf(1_001))).toBe(false);
});
