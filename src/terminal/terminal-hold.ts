import tty from 'node:tty';
import type { TerminalInput } from './input.js';
import type { Screen, TerminalOutput } from './screen.js';
import { cancelSequence, enterModes, leaveModes } from './terminal-modes.js';
import { writeSync } from './write-sync.js';

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

  constructor(
    readonly output: TerminalStream,
    readonly screen: Screen,
    readonly input: TerminalInput,
  ) {}

  take(): void {
    writeSync(this.output.fd, enterModes);
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
    if (this.#isLeavingLate) writeSync(this.output.fd, cancelSequence + leaveModes);
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
    writeSync(this.output.fd, enterModes);
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
      this.output.write(leaveModes, () => (this.#isLeavingLate = false));
    } else {
      writeSync(this.output.fd, leaveModes);
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
