import fs from 'node:fs';
import path from 'node:path';
import { ConsoleError } from '../../db/errors.js';
import { consoleVersion } from '../../core/version.js';
import type { LiveSource, LiveState } from '../state.js';
import { frameBetween } from './frame.js';
import { recordingFormat, type RecordingHeader } from './recording.js';

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
    fs.writeSync(this.#descriptor, `${JSON.stringify(header)}\n`);
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
