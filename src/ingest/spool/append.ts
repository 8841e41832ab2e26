import fs from 'node:fs';
import { createFolder } from '../../core/create-folder.js';
import { type Environment, given, readNumber } from '../../core/values.js';

/** `full`: the spool has reached its limit; the event was counted and dropped. */
export type Appended = 'written' | 'full';

/**
 * Appends a frame to the spool, in one write, and has it on disk before it returns. Many processes may do so at once.
 *
 * @param limitBytes of all segments together
 * @throws Error of the file system; then the event is not in the spool, or only a torn part that readers skip
 */
export function appendFrame(folder: string, frame: Buffer, limitBytes = spoolLimitBytes): Appended {
  for (;;) {
    const file = openSegment(folder, limitBytes);
    if (file === undefined) {
      fs.appendFileSync(`${folder}/${droppedFile}`, '.', { mode: 0o600 });
      return 'full';
    }
    if (file === 'again') continue;
    const { descriptor, name } = file;
    try {
      const { size, ino } = fs.fstatSync(descriptor);
      if (fs.writeSync(descriptor, frame) !== frame.length)
        throw new Error('only a part could be written');
      fs.fsyncSync(descriptor);
      if (size === 0) syncFolder(folder);
      // A collector that removes a segment renames it first and then reads it to its end. What is still
      // here was in time for that; otherwise the frame is written again, and its id tells that it is the same.
      if (fs.statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.ino === ino) {
        return 'written';
      }
    } finally {
      fs.closeSync(descriptor);
    }
  }
}

type OpenSegment = { descriptor: number; name: string };

/** The last segment of this span, or a new one; undefined where that would exceed the limit. */
function openSegment(folder: string, limitBytes: number): OpenSegment | 'again' | undefined {
  const { O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
  const nowMs = Date.now();
  const last = lastSegment(folder, segmentName(nowMs).slice(0, spanDigits));
  const size = last === undefined ? undefined : sizeOf(`${folder}/${last}`);
  const isFull = size === undefined || size >= Math.max(1, Math.min(segmentBytes, limitBytes / 8));
  if (isFull && waitingBytes(folder) >= limitBytes) return undefined;
  const name = last !== undefined && !isFull ? last : segmentName(nowMs, last);
  if (!isSegment(name)) return undefined;
  const flags = O_WRONLY | O_APPEND | (isFull ? O_CREAT : 0);
  let descriptor: number;
  try {
    descriptor = fs.openSync(`${folder}/${name}`, flags, 0o600);
  } catch (error) {
    // The collector has removed it meanwhile.
    if (!isFull && (error as NodeJS.ErrnoException).code === 'ENOENT') return 'again';
    throw error;
  }
  // The process may have slept meanwhile, and a segment of that name be written, read and removed.
  if (Date.now() - nowMs < youngMs / 2) return { descriptor, name };
  fs.closeSync(descriptor);
  return 'again';
}

function lastSegment(folder: string, span: string): string | undefined {
  let last: string | undefined;
  for (const name of segmentsIn(folder)) {
    if (name.startsWith(span) && (last === undefined || name > last)) last = name;
  }
  return last;
}

const sizeOf = (file: string): number | undefined =>
  fs.statSync(file, { throwIfNoEntry: false })?.size;

/** In no order; a folder that is not there is made. */
function segmentsIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder).filter(isSegment);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    createFolder(folder);
    return [];
  }
}

/** The size of all segments. */
export function waitingBytes(folder: string): number {
  let sum = 0;
  for (const name of segmentsIn(folder)) {
    sum += sizeOf(`${folder}/${name}`) ?? 0;
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

/** Of Windows, too: `C:\\…`. */
export const isAbsolute = (folder: string): boolean => /^(?:\/|[a-z]:[\\/])/i.test(folder);

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

/** What a failure of the spool's folder says. */
export const forSpool = { code: 'file_failed', setting: 'TRACE_CONSOLE_SPOOL' } as const;

/**
 * Where hooks leave their events: `TRACE_CONSOLE_SPOOL`, else below the state folder. A relative one is ignored: it would be another folder
 * in each project.
 */
export function spoolFolder(environment: Environment, homeFolder: () => string): string {
  const named = environment.TRACE_CONSOLE_SPOOL;
  if (named !== undefined && isAbsolute(named)) return named;
  return `${stateFolder(environment, homeFolder)}/spool`;
}

/**
 * The file whose time of change says when a collector was last started. It holds the process, which has not taken its lock
 * yet; nothing, while that is being started.
 */
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

/** A segment that has grown to this, or to an eighth of the limit, is followed by another. */
const segmentBytes = 8 * 1024 * 1024;

/** With so much in the spool, new events are refused and counted, until the collector has caught up. */
export const spoolLimitBytes = 256 * 1024 * 1024;

/** The limit of this user's spool in bytes: `TRACE_CONSOLE_SPOOL_MB`, else 256 MB. */
export function spoolLimit({ TRACE_CONSOLE_SPOOL_MB: megabytes }: Environment): number {
  return /^[1-9]\d{0,5}$/.test(megabytes ?? '')
    ? readNumber(megabytes) * 1024 * 1024
    : spoolLimitBytes;
}

/** Segments have one name for so long (ms), and stay for longer: no name comes twice. */
const nameMs = 100;
const youngMs = 1_000;

const spanDigits = 8;

/**
 * The segment that is begun at a time, behind another one of the same span: `SPAN-NUMBER.spool`. The number counts tenths
 * of a second, so that a name is not used again when its segment was read and removed. Names sort as they were begun.
 */
export function segmentName(nowMs: number, behind?: string): string {
  const span = String(Math.floor(nowMs / segmentSpanMs)).padStart(spanDigits, '0');
  const tenths = Math.floor((nowMs % segmentSpanMs) / nameMs);
  const number = behind === undefined ? tenths : Math.max(tenths, numberOf(behind) + 1);
  return `${span}-${String(number).padStart(4, '0')}.spool`;
}

const numberOf = (segment: string): number => readNumber(segment.slice(spanDigits + 1, -6));

export const isSegment = (name: string): boolean => /^\d{8}-\d{4}\.spool$/.test(name);

/** Whether no hook writes into a segment any more. */
export function isClosed(segment: string, nowMs: number): boolean {
  return nowMs > (readNumber(segment.slice(0, spanDigits)) + 1) * segmentSpanMs + graceMs;
}

/** Whether a segment of the same name could still be begun. */
export function isYoung(segment: string, nowMs: number): boolean {
  const span = readNumber(segment.slice(0, spanDigits)) * segmentSpanMs;
  return nowMs < span + numberOf(segment) * nameMs + youngMs;
}
