import fs from 'node:fs';
import { type Environment, given } from '../../core/values.js';

/** `full`: the spool has reached its limit; the event was counted and dropped. */
export type Appended = 'written' | 'full';

/**
 * Appends a frame to the spool, in one write, and has it on disk before it returns. Many processes may do so at once.
 *
 * @param limitBytes of all segments together
 * @throws Error of the file system; then the event is not in the spool, or only a torn part that readers skip
 */
export function appendFrame(folder: string, frame: Buffer, limitBytes = spoolLimitBytes): Appended {
  for (let number = 0; ;) {
    const name = segmentName(Date.now(), number);
    const file = `${folder}/${name}`;
    const segment = openSegment(folder, file, limitBytes);
    if (segment === undefined) {
      fs.appendFileSync(`${folder}/${droppedFile}`, '.', { mode: 0o600 });
      return 'full';
    }
    try {
      // The process may have slept since it chose the name, and its span be over and removed.
      if (name !== segmentName(Date.now(), number)) continue;
      const { size, ino } = fs.fstatSync(segment);
      if (size >= segmentBytes) {
        number += 1;
        continue;
      }
      if (fs.writeSync(segment, frame) !== frame.length) throw new Error('a part was written');
      fs.fsyncSync(segment);
      if (size === 0) syncFolder(folder);
      // A collector that removes a segment renames it first and then reads it to its end. What is still
      // here was in time for that; otherwise the frame is written again, and its id tells that it is the same.
      if (fs.statSync(file, { throwIfNoEntry: false })?.ino === ino) return 'written';
    } finally {
      fs.closeSync(segment);
    }
  }
}

/** The descriptor of a segment; undefined where a new one would exceed the limit. */
function openSegment(folder: string, file: string, limitBytes: number): number | undefined {
  const { O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
  try {
    return fs.openSync(file, O_WRONLY | O_APPEND);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (waitingBytes(folder) >= limitBytes) return undefined;
  return fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT, 0o600);
}

/** The size of all segments. */
export function waitingBytes(folder: string): number {
  let sum = 0;
  for (const name of fs.readdirSync(folder)) {
    if (isSegment(name)) {
      sum += fs.statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return sum;
}

/** A new file survives a power cut only with its folder's entry. */
function syncFolder(folder: string): void {
  const descriptor = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(descriptor);
  } catch {
    // Not every file system can; the event itself is on disk.
  } finally {
    fs.closeSync(descriptor);
  }
}

// Loaded by the hook: it imports nothing that costs a start.

/**
 * The console's folder in the user's XDG state home.
 *
 * @param homeFolder asked only where neither the environment nor HOME says it
 */
export function stateFolder(environment: Environment, homeFolder: () => string): string {
  const { XDG_STATE_HOME: state, HOME: home } = environment;
  // The specification ignores a relative XDG_STATE_HOME.
  const base = state?.startsWith('/') ? state : `${given(home) ?? homeFolder()}/.local/state`;
  return `${base}/trace-console`;
}

/** Where hooks leave their events: `TRACE_CONSOLE_SPOOL`, else below the state folder. */
export function spoolFolder(environment: Environment, homeFolder: () => string): string {
  return given(environment.TRACE_CONSOLE_SPOOL) ?? `${stateFolder(environment, homeFolder)}/spool`;
}

/** Its time of change says when a hook has started a collector last. */
export const startingFile = 'starting';

/** Of the collector of this spool; says which process it is. */
export const collectorLock = 'collector.lock';

/** The collector touches its lock more often than this (ms). */
export const lockFreshMs = 30_000;

/** One byte for each event that was refused because the spool was full. */
export const droppedFile = 'dropped';

/** A segment takes the events of this long (ms); the next ones go into another. */
const segmentSpanMs = 600_000;

/** A hook that found its segment before the span was over may write into it for so long after (ms). */
const graceMs = 60_000;

/** A segment that has grown to this is followed by another. */
const segmentBytes = 8 * 1024 * 1024;

/** With so much waiting, new events are refused and counted, until the collector has caught up. */
export const spoolLimitBytes = 256 * 1024 * 1024;

/** The segment of a time: `SPAN-NUMBER.spool`; the names sort as they were begun while both are padded. */
export function segmentName(nowMs: number, number: number): string {
  const span = String(Math.floor(nowMs / segmentSpanMs)).padStart(8, '0');
  return `${span}-${String(number).padStart(4, '0')}.spool`;
}

export const isSegment = (name: string): boolean => /^\d{8}-\d{4}\.spool$/.test(name);

/** Whether no hook writes into a segment any more. */
export function isClosed(segment: string, nowMs: number): boolean {
  return nowMs > (Number(segment.slice(0, 8)) + 1) * segmentSpanMs + graceMs;
}
