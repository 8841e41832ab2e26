import fs from 'node:fs';
import { appendFrame, droppedFile, isClosed, isSegment } from './append.js';
import { decodeFrames, encodeFrame, type SpoolRecord } from './frame.js';

/** How far each segment has been read, in bytes. A segment that is not in it was not begun. */
export type SpoolOffsets = ReadonlyMap<string, number>;

export type SpoolBatch = {
  records: SpoolRecord[];
  /** What was read of which segment: the new offsets of these. */
  offsets: Map<string, number>;
  /** Frames that a killed writer left in part; they were skipped. */
  torn: number;
};

/**
 * The next records of the spool, the oldest segment first. Nothing is changed: the caller writes the offsets together with
 * the rows.
 *
 * @param most records at most
 */
export function readSpool(
  folder: string,
  offsets: SpoolOffsets,
  most: number,
  nowMs = Date.now(),
): SpoolBatch {
  const batch: SpoolBatch = { records: [], offsets: new Map(), torn: 0 };
  for (const segment of listSegments(folder)) {
    if (batch.records.length >= most) break;
    const offset = offsets.get(segment) ?? 0;
    const bytes = readFrom(`${folder}/${segment}`, offset);
    if (bytes.length === 0) continue;
    const closed = isClosed(segment, nowMs);
    const { records, consumed, torn } = decodeFrames(bytes, closed, most - batch.records.length);
    if (consumed === 0) continue;
    batch.records.push(...records);
    batch.offsets.set(segment, offset + consumed);
    batch.torn += torn;
  }
  return batch;
}

/** The segments of a spool, the oldest first; none where there is no spool yet. */
export function listSegments(folder: string): string[] {
  try {
    return fs.readdirSync(folder).filter(isSegment).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readFrom(file: string, offset: number): Buffer {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const length = Math.max(0, fs.fstatSync(descriptor).size - offset);
    const bytes = Buffer.allocUnsafeSlow(length);
    return bytes.subarray(0, fs.readSync(descriptor, bytes, 0, length, offset));
  } finally {
    fs.closeSync(descriptor);
  }
}

const removing = '.removing';

/**
 * Removes the closed segments that were read to their end, and finishes removals that were interrupted. A writer that was
 * asleep since before may still append: the segment is renamed first and its size looked at after; a writer that comes
 * later finds the name gone and writes again (`appendFrame`). What came in between is appended anew.
 *
 * @returns the segments that are gone
 */
export function removeRead(folder: string, offsets: SpoolOffsets, nowMs = Date.now()): string[] {
  const gone: string[] = [];
  for (const segment of listSegments(folder)) {
    const file = `${folder}/${segment}`;
    const size = fs.statSync(file, { throwIfNoEntry: false })?.size;
    if (!isClosed(segment, nowMs) || size === undefined || size > (offsets.get(segment) ?? 0)) {
      continue;
    }
    fs.renameSync(file, file + removing);
    gone.push(segment);
  }
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    const segment = name.slice(0, -removing.length);
    if (!name.endsWith(removing) || !isSegment(segment)) continue;
    const late = readFrom(`${folder}/${name}`, offsets.get(segment) ?? 0);
    for (const record of decodeFrames(late, true, Infinity).records) {
      appendFrame(folder, encodeFrame(record), Infinity);
    }
    fs.rmSync(`${folder}/${name}`);
    if (!gone.includes(segment)) gone.push(segment);
  }
  return gone;
}

/** What waits in a spool. */
export type SpoolBacklog = { segments: number; bytes: number; dropped: number };

export function backlogOf(folder: string, offsets: SpoolOffsets): SpoolBacklog {
  const sizeOf = (name: string) =>
    fs.statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.size ?? 0;
  const waiting = listSegments(folder).map((name) =>
    Math.max(0, sizeOf(name) - (offsets.get(name) ?? 0)),
  );
  return {
    segments: waiting.filter((bytes) => bytes > 0).length,
    bytes: waiting.reduce((sum, bytes) => sum + bytes, 0),
    dropped: sizeOf(droppedFile),
  };
}
