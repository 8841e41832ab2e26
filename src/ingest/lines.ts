import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { readNumber } from '../core/values.js';

const chunkBytes = 256 << 10;
/** A longer line is left out: nothing that an agent's program writes is so long. */
const longestLine = 256 << 20;
const fingerprintBytes = 256;

/**
 * A line, and where the next one begins (bytes). `undefined`: a line that is too long. Its bytes are there until the
 * next one is asked for.
 */
export type Line = { bytes: Buffer | undefined; end: number };

const byteOrderMark = Buffer.from('\ufeff');

/** Some editors begin a file with a mark that is no JSON. */
const withoutMark = (line: Buffer): Buffer =>
  line[0] === byteOrderMark[0] && line.subarray(0, 3).equals(byteOrderMark)
    ? line.subarray(3)
    : line;

/**
 * The lines of a file from an offset on, as far as they are complete. The last one counts without its line end
 * only when it is whole JSON: a file may grow while it is read.
 */
export async function* readLines(
  path: string,
  offset: number,
): AsyncGenerator<Line, void, undefined> {
  const file = await fs.open(path, 'r');
  try {
    let rest: Buffer[] = [];
    let restBytes = 0;
    let position = offset;
    let isSkipping = false;
    // Two take turns: while one piece is parsed, the next is read.
    let [buffer, other] = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)];
    let reading = file.read(buffer, 0, chunkBytes, position);
    for (;;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) break;
      reading = file.read(other, 0, chunkBytes, position + bytesRead);
      // Whoever stops in between does not wait for it.
      reading.catch(() => undefined);
      let start = 0;
      for (;;) {
        const newline = buffer.indexOf(10, start);
        if (newline === -1 || newline >= bytesRead) break;
        const part = buffer.subarray(start, newline);
        const bytes = withoutMark(restBytes === 0 ? part : Buffer.concat([...rest, part]));
        yield { bytes: isSkipping ? undefined : bytes, end: position + newline + 1 };
        [rest, restBytes, isSkipping] = [[], 0, false];
        start = newline + 1;
      }
      position += bytesRead;
      const left = bytesRead - start;
      if (restBytes + left > longestLine) [rest, restBytes, isSkipping] = [[], 1, true];
      if (left > 0 && !isSkipping) {
        rest.push(Buffer.from(buffer.subarray(start, bytesRead)));
        restBytes += left;
      }
      [buffer, other] = [other, buffer];
    }
    const last = withoutMark(Buffer.concat(rest));
    if (!isSkipping && isJson(last)) yield { bytes: last, end: position };
  } finally {
    // Closing waits for a reading under way.
    await file.close();
  }
}

/** A file as one line; nothing when it was read up to its end. */
export async function* readWhole(
  path: string,
  offset: number,
): AsyncGenerator<Line, void, undefined> {
  const { size } = await fs.stat(path);
  if (size === offset) return;
  const all = size > longestLine ? undefined : await fs.readFile(path);
  const bytes = all && withoutMark(all);
  // It may be read while it is written.
  if (bytes !== undefined && !isJson(bytes)) return;
  yield { bytes, end: all?.length ?? size };
}

function isJson(bytes: Buffer): boolean {
  if (bytes.length === 0) return false;
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

/** The beginning of a file, which tells it from another one under the same name; it may have grown since. */
export async function fingerprint(path: string, length = fingerprintBytes): Promise<string> {
  const file = await fs.open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return `${bytesRead}:${createHash('sha1').update(buffer.subarray(0, bytesRead)).digest('hex')}`;
  } finally {
    await file.close();
  }
}

/** Whether a file still begins as it did when it was last read. */
export async function hasGrownFrom(path: string, known: string): Promise<boolean> {
  const length = readNumber(known.split(':')[0]);
  return Number.isSafeInteger(length) && length <= fingerprintBytes
    ? (await fingerprint(path, length)) === known
    : false;
}

/** The fingerprint of all that is in a file. */
export async function wholeFingerprint(path: string): Promise<string> {
  const { size } = await fs.stat(path);
  return fingerprint(path, Math.min(size, longestLine));
}
