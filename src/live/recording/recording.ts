import fs from 'node:fs';
import { ConsoleError } from '../../db/errors.js';
import type { LiveState } from '../state.js';
import { applyFrame, type Frame } from './frame.js';

export const recordingFormat = 'trace-console recording 1';

/** The first line of a recording. */
export type RecordingHeader = {
  format: typeof recordingFormat;
  /** The console's version. */
  console: string;
  /** ISO 8601 */
  startedAt: string;
  /** Where it was recorded, without any secret. */
  place: { database: string; host: string; user: string };
};

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

  /** @throws ConsoleError `usage` when it cannot be read, or is no recording */
  static open(file: string): Recording {
    let text: string;
    try {
      text = fs.readFileSync(file, 'utf8');
    } catch (cause) {
      throw new ConsoleError('usage', `The recording cannot be read: ${file}`, {
        hint: 'trace-console --record FILE makes one.',
        cause,
      });
    }
    const [first = '', ...lines] = text.split('\n');
    const header = parseLine(first) as Partial<RecordingHeader> | undefined;
    if (header?.format !== recordingFormat) {
      throw new ConsoleError('usage', `${file} is no recording of this console.`, {
        hint: `Its first line would say "${recordingFormat}".`,
      });
    }
    const frames = lines.flatMap((line, index) => {
      if (line === '') return [];
      const frame = parseLine(line);
      if (isFrame(frame)) return [frame];
      // Written when the console was killed, or the disk was full.
      if (index === lines.length - 1) return [];
      throw new ConsoleError('usage', `${file}, line ${index + 2} is damaged.`);
    });
    if (frames[0]?.full !== true) {
      throw new ConsoleError('usage', `${file} is empty: it ended before the first answer.`);
    }
    return new Recording(file, header as RecordingHeader, frames);
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
        state = applyFrame(state, this.#frame(next));
      } catch (cause) {
        throw new ConsoleError('usage', `${this.#file}, line ${next + 2} is damaged.`, { cause });
      }
    }
    if (!state) throw new Error('a recording begins with a whole frame');
    return { index, state };
  }

  #frame(index: number): Frame {
    const frame = this.#frames[index];
    if (!frame) throw new RangeError(`frame ${index} of ${this.#frames.length}`);
    return frame;
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isFrame(value: unknown): value is Frame {
  return (
    typeof value === 'object' &&
    value !== null &&
    'at' in value &&
    Number.isFinite(value.at) &&
    'wall' in value &&
    Number.isFinite(value.wall) &&
    'panes' in value &&
    typeof value.panes === 'object' &&
    value.panes !== null
  );
}
