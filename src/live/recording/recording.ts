import fs from 'node:fs';
import path from 'node:path';
import { fileSystemReason, readTextFile } from '../../core/folders.js';
import { readNumber } from '../../core/values.js';
import { ConsoleError, unreadableFile } from '../../db/errors.js';
import { consoleVersion } from '../../core/version.js';
import type { LiveSource, LiveState, PaneSnapshot } from '../state.js';
import { frameBetween, applyFrame, frameOf, type FormatVersion, type Frame } from './frame.js';

import * as v from 'valibot';
import { formatBytes } from '../../core/format/number.js';
import { cellOf } from '../../panes/contract/column.js';
import { panes, type AnyPane } from '../../panes/registry.js';

/** The versions of the header line: a console writes the last of them, and reads all. */
const formats = ['trace-console recording 1', 'trace-console recording 2'] as const;
export const recordingFormat = formats[1];

const name = v.pipe(v.string(), v.maxLength(1_000));

/** The first line of a recording. `place`: where it was recorded, without any secret. */
const headerSchema = v.object({
  format: v.picklist(formats),
  /** The console's version. */
  console: name,
  /** ISO 8601 */
  startedAt: name,
  place: v.object({ database: name, host: name, user: name }),
});

export type RecordingHeader = v.InferOutput<typeof headerSchema>;

/** A day of a busy console takes some 50 MB; what is larger is not read into memory. */
const mostBytes = 400_000_000;
/** Deeper than any value of the state; values are decoded by recursion. */
const deepest = 100;

/** The state at a moment of a recording. */
export type Moment = { index: number; state: LiveState };

/**
 * A recording in memory: its lines are understood when they are shown. A last line that a crash cut off
 * is left out.
 */
export class Recording {
  readonly header: RecordingHeader;
  readonly #file: string;
  readonly #frames: Frame[];

  private constructor(file: string, header: RecordingHeader, frames: Frame[]) {
    this.#file = file;
    this.header = header;
    this.#frames = frames;
  }

  /**
   * Reads and checks a recording, which anybody may have written: every line is decoded once.
   *
   * @throws ConsoleError `usage` when it cannot be read, is no recording, or is damaged
   */
  static open(file: string): Recording {
    const [first = '', ...lines] = readFile(file).split('\n');
    const parsed = v.safeParse(headerSchema, parseLine(first));
    if (!parsed.success) throw noRecording(file, first);
    const frames = lines.flatMap((line, index) => {
      if (line === '') return [];
      const frame = frameOf(parseLine(line));
      if (frame) return [frame];
      // Written when the console was killed, or the disk was full.
      if (index === lines.length - 1) return [];
      throw damaged(file, index);
    });
    if (frames[0]?.full !== true) {
      throw new ConsoleError('usage', `${file} is empty: it ended before the first answer.`);
    }
    const recording = new Recording(file, parsed.output, frames);
    recording.#check();
    return recording;
  }

  get length(): number {
    return this.#frames.length;
  }

  /** The console's clock at a frame, milliseconds. */
  atMs(index: number): number {
    return this.#frame(index).at;
  }

  /** The calendar at a frame, milliseconds since 1970. */
  wallMs(index: number): number {
    return this.#frame(index).wall;
  }

  /** The last frame that is not after a moment of the console's clock. */
  indexAt(atMs: number): number {
    const after = this.#frames.findIndex(({ at }) => at > atMs);
    return after < 0 ? this.#frames.length - 1 : Math.max(0, after - 1);
  }

  /**
   * The state at a frame, made from the one before where that is near, else from the last whole one.
   *
   * @throws ConsoleError `usage` for a damaged frame
   */
  moment(index: number, before?: Moment): Moment {
    const canGoOn = before !== undefined && before.index <= index;
    let start = index;
    while (start > 0 && !this.#frame(start).full && !(canGoOn && start <= before.index)) start -= 1;
    let state = canGoOn && start <= before.index ? before.state : undefined;
    if (state && before?.index === index) return before;
    for (let next = state ? start + 1 : start; next <= index; next += 1) {
      try {
        state = applyFrame(state, this.#frame(next), this.#version);
      } catch (cause) {
        throw damaged(this.#file, next, cause);
      }
    }
    if (!state) throw new Error('a recording begins with a whole frame');
    return { index, state };
  }

  get #version(): FormatVersion {
    return this.header.format === recordingFormat ? 2 : 1;
  }

  /** Goes through all frames once, with one state in memory at a time. */
  #check(): void {
    let moment: Moment | undefined;
    for (let index = 0; index < this.length; index += 1) {
      const before = moment?.state;
      moment = this.moment(index, moment);
      try {
        for (const pane of panes) {
          const snapshot = moment.state.panes[pane.id];
          if (snapshot !== before?.panes[pane.id]) tryOut(pane, snapshot);
        }
      } catch (cause) {
        throw damaged(this.#file, index, cause);
      }
    }
  }

  #frame(index: number): Frame {
    const frame = this.#frames[index];
    if (!frame) throw new RangeError(`frame ${index} of ${this.#frames.length}`);
    return frame;
  }
}

/** Computes everything that a pane draws of a snapshot, so that damaged data throws here, and not on the screen. */
function tryOut(pane: AnyPane, snapshot: PaneSnapshot): void {
  const { rows, extras, asOf, notes } = snapshot;
  if (asOf === null) return;
  const context = { nowMs: asOf.getTime() };
  for (const row of rows) {
    mustBeText(pane.rowKey(row));
    for (const column of pane.columns) mustBeText(cellOf(column, row, context).text);
  }
  for (const note of notes) mustBeText(note);
  if (extras === undefined) return;
  const result = { rows, extras, asOf, notes };
  for (const line of pane.summary?.(result, context) ?? []) {
    for (const { text } of line) mustBeText(text);
  }
  pane.chart?.(result);
}

function mustBeText(text: unknown): void {
  if (typeof text !== 'string') throw new TypeError('no text');
}

function readFile(file: string): string {
  try {
    return readTextFile(file, mostBytes);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EFBIG') {
      throw new ConsoleError('usage', `${file} is too large for a replay.`, {
        hint: `At most ${formatBytes(mostBytes)} are read; its first lines alone are a recording, too.`,
        cause,
      });
    }
    const hint = 'trace-console --record FILE makes one.';
    throw unreadableFile('usage', 'recording', file, { hint, cause });
  }
}

/** Recognises also the recording of a newer console, for a better error message. */
function noRecording(file: string, first: string): ConsoleError {
  const [, version] = /^\{"format":"trace-console recording (\d{1,4})"/.exec(first) ?? [];
  if (version !== undefined && readNumber(version) > formats.length) {
    return new ConsoleError('usage', `${file} is a recording of a newer console.`, {
      hint: `It has format ${version}; this console reads up to ${formats.length}.`,
    });
  }
  return new ConsoleError('usage', `${file} is no recording of this console.`, {
    hint: `Its first line would say "${recordingFormat}".`,
  });
}

function damaged(file: string, frame: number, cause?: unknown): ConsoleError {
  return new ConsoleError('usage', `${file}, line ${frame + 2} is damaged.`, { cause });
}

/** JSON that is no deeper than a value of the state; undefined for anything else. */
function parseLine(line: string): unknown {
  if (isTooDeep(line)) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isTooDeep(json: string): boolean {
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < json.length; at += 1) {
    const sign = json.charCodeAt(at);
    if (isInText) {
      if (sign === backslash) at += 1;
      else if (sign === quote) isInText = false;
    } else if (sign === quote) isInText = true;
    else if (sign === openBrace || sign === openBracket) {
      depth += 1;
      if (depth > deepest) return true;
    } else if (sign === closeBrace || sign === closeBracket) depth -= 1;
  }
  return false;
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = [
  0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d,
];

/** A whole state this often (ms), so that a replay can jump. */
const wholeEveryMs = 120_000;
/** Changes of less than this (ms) are one frame. */
const gatherMs = 500;

export type RecordedPlace = RecordingHeader['place'];

/**
 * Writes what the screen is told to a file, a line a change. What was written is whole after a crash.
 * The file holds what the panes show, prompts too: only its owner may read it.
 */
export class Recorder {
  readonly file: string;
  readonly #descriptor: number;
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #last: LiveState | undefined;
  #wholeAt = -Infinity;
  #failure: string | undefined;

  /** @throws ConsoleError `usage` when the file exists or cannot be made */
  constructor(file: string, place: RecordedPlace) {
    this.file = path.resolve(file);
    try {
      this.#descriptor = fs.openSync(this.file, 'wx', 0o600);
    } catch (cause) {
      const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
      throw new ConsoleError(
        'usage',
        exists ? `${this.file} exists.` : `${this.file} cannot be made.`,
        {
          hint: exists
            ? 'A recording never overwrites a file; give another name.'
            : 'Give a name in a folder that you may write to.',
          cause,
        },
      );
    }
    const header: RecordingHeader = {
      format: recordingFormat,
      console: consoleVersion(),
      startedAt: new Date().toISOString(),
      place,
    };
    try {
      fs.writeSync(this.#descriptor, `${JSON.stringify(header)}\n`);
    } catch (cause) {
      fs.closeSync(this.#descriptor);
      fs.rmSync(this.file, { force: true });
      const reason = fileSystemReason(cause) ?? (cause as Error).message;
      throw new ConsoleError('file_failed', `${this.file} cannot be written: ${reason}.`, {
        hint: 'Give a name in another folder.',
        cause,
      });
    }
  }

  /** Why nothing is written any more (a full disk); undefined while all is well. */
  get failure(): string | undefined {
    return this.#failure;
  }

  follow(source: LiveSource): void {
    const write = () => {
      this.#timer = undefined;
      this.#write(source);
    };
    this.#unsubscribe = source.subscribe(() => {
      this.#timer ??= setTimeout(write, gatherMs);
    });
    this.#write(source);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#unsubscribe?.();
    if (this.#failure === undefined) fs.closeSync(this.#descriptor);
    this.#failure = 'it is closed';
  }

  #write(source: LiveSource): void {
    if (this.#failure !== undefined) return;
    const state = source.getState();
    const at = source.clock.now();
    const isWholeDue = at - this.#wholeAt >= wholeEveryMs;
    const before = isWholeDue ? undefined : this.#last;
    const frame = frameBetween(before, state, { at, wall: source.clock.wallNow() });
    if (!frame) return;
    if (isWholeDue) this.#wholeAt = at;
    this.#last = state;
    try {
      fs.writeSync(this.#descriptor, `${JSON.stringify(frame)}\n`);
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
      this.#unsubscribe?.();
      fs.closeSync(this.#descriptor);
    }
  }
}

/** `incident.jsonl` → `incident.prod.jsonl`, or with a number where that exists: a recording overwrites nothing. */
export function fileBeside(file: string, name: string): string {
  const { dir, name: base, ext } = path.parse(file);
  for (let number = 1; ; number += 1) {
    const suffix = number === 1 ? '' : `-${number}`;
    const beside = path.join(dir, `${base}.${name}${suffix}${ext}`);
    if (!fs.existsSync(beside)) return beside;
  }
}
