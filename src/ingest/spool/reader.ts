import fs from 'node:fs';
import {
  appendFrame,
  droppedFile,
  isClosed,
  isSegment,
  isYoung,
  spoolLimitBytes,
} from './append.js';
import { decodeFrames, encodeFrame, type Decoded, type SpoolRecord } from './frame.js';

/** A segment is read in parts (bytes): a batch is a fraction of it. */
const partBytes = 2 << 20;

/** A batch holds no more (bytes), but for its last part. */
const batchBytes = 16 << 20;

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
  let bytes = 0;
  const isFull = () => batch.records.length >= most || bytes >= batchBytes;
  for (const segment of listSegments(folder)) {
    if (isFull()) break;
    let offset = offsets.get(segment) ?? 0;
    while (!isFull()) {
      const wanted = most - batch.records.length;
      const part = readPart(`${folder}/${segment}`, offset, isClosed(segment, nowMs), wanted);
      if (part.consumed === 0) break;
      offset += part.consumed;
      bytes += part.consumed;
      batch.records.push(...part.records);
      batch.offsets.set(segment, offset);
      batch.torn += part.torn;
    }
  }
  return batch;
}

function readPart(file: string, offset: number, isClosed: boolean, most: number): Decoded {
  const part = readFrom(file, offset, partBytes);
  const decoded = decodeFrames(part.bytes, isClosed && part.isWhole, most);
  if (decoded.consumed > 0 || part.isWhole) return decoded;
  // A frame may be longer.
  return decodeFrames(readFrom(file, offset).bytes, isClosed, most);
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

type Read = {
  bytes: Buffer;
  /** They reach to the end of the file. */
  isWhole: boolean;
};

function readFrom(file: string, offset: number, most = Infinity): Read {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { bytes: Buffer.alloc(0), isWhole: true };
    }
    throw error;
  }
  try {
    const rest = Math.max(0, fs.fstatSync(descriptor).size - offset);
    const bytes = Buffer.allocUnsafeSlow(Math.min(rest, most));
    const read = fs.readSync(descriptor, bytes, 0, bytes.length, offset);
    return { bytes: bytes.subarray(0, read), isWhole: rest <= most };
  } finally {
    fs.closeSync(descriptor);
  }
}

const removing = '.removing';

/** The share of a spool's limit that may have been read and stay: hooks go on with the file that they have. */
export const keptShare = 64;

/**
 * Removes the segments that were read to their end, and finishes removals that were interrupted. Those into which hooks
 * still write are kept while they are small. A writer may append at any time: the segment is renamed first and its size
 * looked at after; a writer that comes later finds the name gone and writes again (`appendFrame`). What came in between
 * is appended anew.
 *
 * @param kept bytes of open segments that may stay
 * @returns the segments that are gone
 */
export function removeRead(
  folder: string,
  offsets: SpoolOffsets,
  { nowMs = Date.now(), kept = spoolLimitBytes / keptShare } = {},
): string[] {
  const gone: string[] = [];
  let open = 0;
  for (const segment of listSegments(folder).reverse()) {
    const file = `${folder}/${segment}`;
    const size = fs.statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined || size > (offsets.get(segment) ?? 0)) continue;
    if (!isClosed(segment, nowMs)) {
      open += size;
      if (open <= kept || isYoung(segment, nowMs)) continue;
    }
    fs.renameSync(file, file + removing);
    gone.push(segment);
  }
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    const segment = name.slice(0, -removing.length);
    if (!name.endsWith(removing) || !isSegment(segment)) continue;
    const late = readFrom(`${folder}/${name}`, offsets.get(segment) ?? 0).bytes;
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
