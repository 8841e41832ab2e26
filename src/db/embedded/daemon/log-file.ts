import fs from 'node:fs';

/**
 * The daemon's log: one line an event, never a statement's text, a value or a setting. When it
 * reaches its limit it becomes FILE.1, so that two files of that size are all there ever is.
 */
export class LogFile {
  readonly #file: string;
  readonly #largest: number;

  constructor(file: string, largest = 512 * 1024) {
    this.#file = file;
    this.#largest = largest;
  }

  write(message: string): void {
    // One event stays one line, and control characters stay out of the reader's terminal.
    // eslint-disable-next-line no-control-regex
    const line = message.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 2_000);
    try {
      const size = fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      if (size > this.#largest) fs.renameSync(this.#file, `${this.#file}.1`);
      fs.appendFileSync(this.#file, `${new Date().toISOString()} ${process.pid} ${line}\n`, {
        mode: 0o600,
      });
    } catch {
      // A full disk must not end the daemon because of its log.
    }
  }
}
