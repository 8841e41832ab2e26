import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isNoSpace } from '../../core/folders.js';
import { inFolder } from './paths.js';
import { ConsoleError } from '../../db/errors.js';
import type { Report } from '../wire.js';

const megabyte = 1024 * 1024;

/** A start after a crash takes a new file of the write-ahead log, and some small ones: room for three or four such starts. */
const smallFilesBytes = 7 * megabyte;

/** Left to everybody when the reserve is filled: reading takes some files, too. */
const leftBytes = megabyte;

/** Files of the write-ahead log are of 1 MB in folders that this console makes, of 16 MB in others. */
function logFileBytes(folder: string): number {
  const log = path.join(inFolder.postgres(folder), 'pg_wal');
  try {
    const name = fs.readdirSync(log).find((file) => /^[0-9A-F]{24}$/.test(file));
    return name === undefined ? megabyte : fs.statSync(path.join(log, name)).size;
  } catch {
    // No database yet.
    return megabyte;
  }
}

/** Random bytes: a file system that compresses would keep nothing of zeros. */
const filling = (bytes: number): Buffer => randomFillSync(Buffer.allocUnsafe(bytes));

/**
 * Room that is kept for the day when the disk is full. PostgreSQL ends at once when its write-ahead log
 * cannot grow, and cannot start again without room for one more file of it; then this is given up.
 */
export class Reserve {
  readonly #folder: string;
  readonly #file: string;
  #isLent = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = path.join(folder, 'reserve');
  }

  /** What a client is told whose statement found no room. */
  get report(): Report {
    return {
      severity: 'ERROR',
      code: '53100',
      message: `No space left on device: the disk of ${this.#folder} is full`,
      hint: this.hint,
    };
  }

  /** What a console is told when the database cannot even be read. */
  get unavailable(): ConsoleError {
    const { message } = this.report;
    return new ConsoleError(
      'embedded_unavailable',
      `${message}, so the embedded database cannot start.`,
      { hint: this.hint },
    );
  }

  get hint(): string {
    return `Make room on the disk of ${this.#folder}; what was written before is safe.`;
  }

  /** Asked when something has failed: whether it is for want of room. */
  isDiskFull(): boolean {
    const probe = `${this.#file}.probe`;
    const bytes = logFileBytes(this.#folder) + megabyte;
    try {
      fs.writeFileSync(probe, filling(bytes), { mode: 0o600 });
      return false;
    } catch (error) {
      return isNoSpace(error);
    } finally {
      fs.rmSync(probe, { force: true });
    }
  }

  /** Takes what is missing of the reserve, as far as there is room. */
  fill(): void {
    if (this.#isLent) return;
    try {
      const size = fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      const { bavail, bsize } = fs.statfsSync(this.#folder);
      const whole = smallFilesBytes + logFileBytes(this.#folder);
      const more = Math.min(whole - size, bavail * bsize - leftBytes);
      if (more > 0) fs.appendFileSync(this.#file, filling(more), { mode: 0o600 });
    } catch {
      // A quota, or another program that was faster: the next time.
    }
  }

  /** Gives its room to whoever starts now, until `takeBack`; false when none was kept. */
  release(): boolean {
    if (!fs.existsSync(this.#file)) return false;
    this.#isLent = true;
    fs.rmSync(this.#file, { force: true });
    return true;
  }

  takeBack(): void {
    this.#isLent = false;
    this.fill();
  }
}

/** Runs what needs a little room; on a full disk again with that of the reserve. */
export function withReserve<Result>(reserve: Reserve, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!isNoSpace(error) || !reserve.release()) throw error;
    return work();
  }
}
