import tty from 'node:tty';
import type { TerminalInput } from './input.js';
import type { Screen, TerminalOutput } from './screen.js';
import fs from 'node:fs';

/** The terminal's output as the session needs it; process.stdout has it. */
export type TerminalStream = TerminalOutput & {
  readonly fd: number;
  /** Node's own handler of SIGWINCH: asks for the size, and tells when it has changed. Not documented. */
  _refreshSize?: () => void;
};

/** The parts of Node's stream handle used here; not documented, hence optional. */
type Handle = { setBlocking?: (isBlocking: boolean) => unknown; writeQueueSize?: number };

/** How long after Ctrl-Z the console looks whether it was stopped at all, in milliseconds. */
const stopGrace = 50;

/** Takes the terminal and gives it back: modes, raw keyboard, and the stop by Ctrl-Z. */
export class TerminalHold {
  #isHeld = false;
  #isReleased = false;
  #isLeavingLate = false;
  readonly #modes: TerminalModes;

  constructor(
    readonly output: TerminalStream,
    readonly screen: Screen,
    readonly input: TerminalInput,
    modes: TerminalModes = paintedModes,
  ) {
    this.#modes = modes;
  }

  take(): void {
    writeSync(this.output.fd, this.#modes.enter);
    // Node writes to terminals synchronously: one that stops reading would stop the whole console.
    setBlocking(this.output, false);
    this.input.open();
    this.#isHeld = true;
    if (process.platform === 'win32') return;
    process.on('SIGTSTP', this.suspend);
    process.on('SIGCONT', this.#continued);
  }

  /** Gives the terminal back for good. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    process.off('SIGTSTP', this.suspend);
    process.off('SIGCONT', this.#continued);
    this.input.close();
    this.#leave();
    // A blocking write to a terminal that stands still would keep the process for ever.
    if (!this.#isLeavingLate) setBlocking(this.output, true);
  }

  /** The last look, from process 'exit': nothing asynchronous is written after it. */
  releaseNow(): void {
    this.release();
    if (this.#isLeavingLate) writeSync(this.output.fd, cancelSequence + this.#modes.leave);
    this.#isLeavingLate = false;
  }

  /** Whether the other end of the line is closed. */
  isTerminalGone(): boolean {
    return !tty.isatty(this.output.fd);
  }

  /** Gives the terminal to the shell and stops the process, with all of its job. */
  readonly suspend = (): void => {
    if (!this.#isHeld || this.#isReleased || process.platform === 'win32') return;
    this.screen.suspend();
    this.input.suspend();
    this.#leave();
    process.off('SIGTSTP', this.suspend);
    process.kill(0, 'SIGTSTP');
    // The kernel does not stop a job that no shell could continue.
    setTimeout(() => {
      if (!this.#isHeld) this.#continued();
    }, stopGrace);
  };

  /** Back from Ctrl-Z, or from a stop nobody announced: the shell has set its own modes since. */
  readonly #continued = (): void => {
    if (this.#isReleased) return;
    if (!this.#isHeld) process.on('SIGTSTP', this.suspend);
    this.#isHeld = true;
    writeSync(this.output.fd, this.#modes.enter);
    this.input.resume();
    // The kernel tells a new size to the foreground only, which was the shell.
    this.output._refreshSize?.();
    this.screen.resume();
  };

  #leave(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (handleOf(this.output)?.writeQueueSize) {
      // A terminal that stands still has part of a frame to come; this must come after it.
      this.#isLeavingLate = true;
      this.output.write(this.#modes.leave, () => (this.#isLeavingLate = false));
    } else {
      writeSync(this.output.fd, this.#modes.leave);
    }
  }
}

function handleOf(output: TerminalStream): Handle | undefined {
  return (output as { _handle?: Handle })._handle;
}

/** Without it, writes just stay synchronous. */
function setBlocking(output: TerminalStream, isBlocking: boolean): void {
  handleOf(output)?.setBlocking?.(isBlocking);
}

/** What is switched on when the console takes the terminal, and how that is undone from any state. */
type TerminalModes = { readonly enter: string; readonly leave: string };

/**
 * What a full-screen program switches on: the alternate screen, no cursor, no wrap at the last
 * column, pastes in brackets, and no reordering of right-to-left text by the terminal (ECMA-48 BDSM),
 * which would move the columns beside it.
 *
 * The way back ends a half-painted frame and clears the frame that is shown: a terminal without an
 * alternate screen (GNU screen by default) would keep it, with the shell's prompt in the middle.
 */
export const paintedModes: TerminalModes = {
  enter: '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[8l',
  leave: '\x1b[?2026l\x1b[m\x1b[8h\x1b[H\x1b[2J\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l',
};

/** Lines that are written one after the other need nothing switched. */
export const linearModes: TerminalModes = { enter: '', leave: '' };

/** Ends whatever sequence the terminal is in the middle of. */
const cancelSequence = '\x18';

/** How long a terminal that takes no bytes may hold up the exit, in milliseconds. */
const patience = 1000;
const pause = 10;

/**
 * Writes to a file descriptor before returning, for the last words of a process. Waits a little for
 * a full terminal; a terminal that is gone is no error.
 */
function writeSync(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let deadline = Date.now() + patience;
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += fs.writeSync(descriptor, bytes, offset);
      deadline = Date.now() + patience;
    } catch (error) {
      if (!isTryAgain(error) || Date.now() > deadline) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
    }
  }
}

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
