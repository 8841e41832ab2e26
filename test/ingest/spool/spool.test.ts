import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { appendFrame, droppedFile, segmentName } from '../../../src/ingest/spool/append.js';
import { encodeFrame, type SpoolRecord } from '../../../src/ingest/spool/frame.js';
import {
  backlogOf,
  listSegments,
  readSpool,
  removeRead,
} from '../../../src/ingest/spool/reader.js';

let root: string;
let folder: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-spool-'));
  folder = path.join(root, 'state', 'spool');
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const hourMs = 3_600_000;
const later = () => Date.now() + hourMs;

function frame(id: string, bytes = 0): Buffer {
  const record: SpoolRecord = { id, at: '1', cli: 'claude', payload: 'x'.repeat(bytes), bytes };
  return encodeFrame(record);
}

const idsOf = (records: readonly SpoolRecord[]) => records.map(({ id }) => id);

describe('the spool', () => {
  it('belongs to its user alone', () => {
    appendFrame(folder, frame('a'));
    const [segment = ''] = listSegments(folder);
    expect(fs.statSync(folder).mode & 0o777).toBe(0o700);
    expect(fs.statSync(path.join(folder, segment)).mode & 0o777).toBe(0o600);
  });

  it('gives each record once to who keeps the offsets', () => {
    for (const id of ['a', 'b', 'c']) appendFrame(folder, frame(id));
    const first = readSpool(folder, new Map(), 2);
    const second = readSpool(folder, first.offsets, 2);
    const third = readSpool(folder, new Map([...first.offsets, ...second.offsets]), 2);
    expect([first, second, third].map(({ records }) => idsOf(records))).toEqual([
      ['a', 'b'],
      ['c'],
      [],
    ]);
  });

  it('goes on in another segment when one has grown large', () => {
    for (const id of ['a', 'b', 'c']) appendFrame(folder, frame(id, 5 * 1024 * 1024));
    expect(listSegments(folder)).toHaveLength(2);
    expect(idsOf(readSpool(folder, new Map(), 10).records)).toEqual(['a', 'b', 'c']);
  });

  it('refuses and counts events beyond its limit, and keeps those it has', () => {
    fs.mkdirSync(folder, { recursive: true });
    const old = segmentName(Date.now() - hourMs);
    fs.writeFileSync(path.join(folder, old), frame('old'));
    expect(appendFrame(folder, frame('new'), 10)).toBe('full');
    expect(appendFrame(folder, frame('newer'), 10)).toBe('full');
    expect(backlogOf(folder, new Map())).toMatchObject({ segments: 1, dropped: 2 });
    expect(fs.statSync(path.join(folder, droppedFile)).size).toBe(2);
    expect(idsOf(readSpool(folder, new Map(), 10).records)).toEqual(['old']);
  });

  it('is empty where there is none', () => {
    expect(readSpool(folder, new Map(), 10).records).toEqual([]);
    expect(removeRead(folder, new Map())).toEqual([]);
    expect(backlogOf(folder, new Map())).toEqual({ segments: 0, bytes: 0, dropped: 0 });
  });
});

describe('removing segments', () => {
  it('takes those that are closed and read to the end', () => {
    appendFrame(folder, frame('a'));
    const { offsets } = readSpool(folder, new Map(), 10);
    expect(removeRead(folder, offsets)).toEqual([]);
    expect(removeRead(folder, new Map(), { nowMs: later() })).toEqual([]);
    expect(removeRead(folder, offsets, { nowMs: later() })).toEqual([...offsets.keys()]);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('keeps what a writer has appended between the last read and the removal', () => {
    appendFrame(folder, frame('a'));
    const { offsets } = readSpool(folder, new Map(), 10);
    const [segment = ''] = listSegments(folder);
    // A removal that was killed after its rename, and a writer that had the segment open.
    const file = path.join(folder, segment);
    fs.renameSync(file, `${file}.removing`);
    fs.appendFileSync(`${file}.removing`, frame('late'));
    expect(removeRead(folder, offsets)).toEqual([segment]);
    expect(idsOf(readSpool(folder, new Map(), 10).records)).toEqual(['late']);
  });

  it('makes room among those that are written to, beyond what may stay', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-06-01T10:05:00Z') });
    onTestFinished(() => void vi.useRealTimers());
    for (const id of ['a', 'b', 'c']) appendFrame(folder, frame(id, 5 * 1024 * 1024));
    const { offsets } = readSpool(folder, new Map(), 10);
    const [first = '', second = ''] = offsets.keys();
    expect(removeRead(folder, offsets)).toEqual([]);
    const nowMs = Date.now() + 5_000;
    expect(removeRead(folder, offsets, { nowMs, kept: 6 * 1024 * 1024 })).toEqual([first]);
    // What is written on is kept, and no name comes a second time.
    appendFrame(folder, frame('d'));
    expect(listSegments(folder)).toEqual([second]);
    expect(removeRead(folder, offsets, { nowMs, kept: 0 })).toEqual([]);
    expect(idsOf(readSpool(folder, offsets, 10).records)).toEqual(['d']);
  });

  it('reads what is longer than a part of a file', () => {
    for (const id of ['a', 'b', 'c', 'd']) appendFrame(folder, frame(id, 3 << 20));
    appendFrame(folder, frame('e'));
    expect(idsOf(readSpool(folder, new Map(), 10).records)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('a torn tail of a closed segment does not hold it for ever', () => {
    fs.mkdirSync(folder, { recursive: true });
    const segment = segmentName(Date.now() - hourMs);
    fs.writeFileSync(path.join(folder, segment), frame('a').subarray(0, 20));
    const { offsets, torn } = readSpool(folder, new Map(), 10);
    expect(torn).toBe(1);
    expect(removeRead(folder, offsets)).toEqual([segment]);
  });
});
