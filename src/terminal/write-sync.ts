import fs from 'node:fs';

/** How long a terminal that takes no bytes may hold up the exit, in milliseconds. */
const patience = 300;
const pause = 10;

/**
 * Writes to a file descriptor before returning, for the last words of a process. Waits a little for
 * a full terminal; a terminal that is gone is no error.
 */
export function writeSync(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  const deadline = Date.now() + patience;
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += fs.writeSync(descriptor, bytes, offset);
    } catch (error) {
      if (!isTryAgain(error) || Date.now() > deadline) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
    }
  }
}

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
