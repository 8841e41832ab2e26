import { EventEmitter } from 'node:events';
import { layOut, blankRow, type Row } from './row.js';
import { rowDiff } from './row-diff.js';

/** What the painter needs of the terminal's output stream; process.stdout has it. */
export type TerminalOutput = {
  readonly columns?: number;
  readonly rows?: number;
  write(data: string, done?: (error?: Error | null) => void): boolean;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
};

/** Counters since the start, for benches and the help screen. */
export type ScreenStatistics = {
  /** Frames Ink handed over. */
  frames: number;
  /** Frames that changed something and were written. */
  painted: number;
  /** Frames replaced by a later one because the terminal had not taken the one before. */
  skipped: number;
  /** Bytes written to the terminal. */
  bytes: number;
};

const beginUpdate = '\x1b[?2026h';
const endUpdate = '\x1b[?2026l';
const clear = '\x1b[H\x1b[2J';
const cursorVisibility = /^\x1b\[\?25[hl]$/; // eslint-disable-line no-control-regex

/** While a window is dragged, sizes arrive faster than a frame is laid out; one in this time is drawn. */
const resizeInterval = 25;

/**
 * The painter behind Ink. Ink runs in its debug mode, where each write is one whole frame; the
 * painter writes to the terminal what differs from the frame before, addressed absolutely and inside
 * synchronized-output brackets (DEC 2026). It never scrolls, and clips what does not fit. A terminal
 * that does not take its bytes gets the latest frame once it does.
 *
 * Give Ink `screen.stdout`.
 */
export class Screen extends EventEmitter<{ resize: [] }> {
  readonly isTTY = true;
  readonly writable = true;
  readonly statistics: ScreenStatistics = { frames: 0, painted: 0, skipped: 0, bytes: 0 };

  readonly #output: TerminalOutput;
  #frame: string | undefined;
  #lines: string[] = [];
  #shown: Row[] = [];
  #shownColumns = 0;
  #clearFirst = true;
  #writing = false;
  #waiting = false;
  #active = true;
  #resizeTimer: NodeJS.Timeout | undefined;
  #resizedAgain = false;

  constructor(output: TerminalOutput) {
    super();
    this.setMaxListeners(0);
    this.#output = output;
    output.on('resize', this.#resized);
  }

  /** The painter in the type Ink's render() asks for. */
  get stdout(): NodeJS.WriteStream {
    return this as unknown as NodeJS.WriteStream;
  }

  get columns(): number {
    return positive(this.#output.columns, 80);
  }

  get rows(): number {
    return positive(this.#output.rows, 24);
  }

  /** Takes a whole frame. Always true: there is nothing for Ink to wait for. */
  readonly write = (frame: string, done?: () => void): boolean => {
    // Besides frames Ink writes cursor switches, empty barriers and, in CI, a last line feed.
    if (frame !== '' && frame !== '\n' && !cursorVisibility.test(frame)) {
      this.statistics.frames++;
      if (this.#waiting) this.statistics.skipped++;
      this.#frame = frame;
      this.#paint();
    }
    if (done) process.nextTick(done);
    return true;
  };

  /** Draws everything anew: after Ctrl-L, or when the process comes back from the background. */
  repaint(): void {
    this.#clearFirst = true;
    this.#paint();
  }

  /** Sends a control sequence that draws nothing (the clipboard's), between two frames. */
  send(sequence: string): void {
    if (!this.#active) return;
    this.statistics.bytes += Buffer.byteLength(sequence);
    this.#output.write(sequence);
  }

  /** Keeps frames from the terminal while it belongs to somebody else (the shell, after Ctrl-Z). */
  suspend(): void {
    this.#active = false;
  }

  resume(): void {
    this.#active = true;
    this.repaint();
  }

  /** Stops for good; the terminal's stream is left as it was found. */
  close(): void {
    this.#active = false;
    clearTimeout(this.#resizeTimer);
    this.#output.off('resize', this.#resized);
  }

  #paint(): void {
    if (!this.#active || this.#frame === undefined) return;
    if (this.#writing) {
      this.#waiting = true;
      return;
    }
    this.#waiting = false;
    const changes = this.#changes(this.#frame);
    if (changes === '') return;
    const data = beginUpdate + changes + endUpdate;
    this.statistics.painted++;
    this.statistics.bytes += Buffer.byteLength(data);
    this.#writing = true;
    this.#output.write(data, this.#written);
  }

  readonly #written = (): void => {
    this.#writing = false;
    if (this.#waiting) this.#paint();
  };

  #changes(frame: string): string {
    const { columns, rows } = this;
    let changes = '';
    if (this.#clearFirst || columns !== this.#shownColumns || rows !== this.#shown.length) {
      changes = clear;
      this.#clearFirst = false;
      this.#shownColumns = columns;
      this.#lines = new Array<string>(rows).fill('');
      this.#shown = Array.from(this.#lines, () => blankRow(columns));
    }
    const lines = frame.split('\n', rows);
    for (let index = 0; index < rows; index++) {
      const line = lines[index] ?? '';
      const before = this.#shown[index];
      if (before === undefined || line === this.#lines[index]) continue;
      const after = layOut(line, columns);
      changes += rowDiff(index, before, after);
      this.#lines[index] = line;
      this.#shown[index] = after;
    }
    return changes;
  }

  readonly #resized = (): void => {
    this.#clearFirst = true;
    if (this.#resizeTimer) {
      this.#resizedAgain = true;
      return;
    }
    this.emit('resize');
    // Ink has written a frame by now; where it has not (it ignores sizes in CI), the last one is cut.
    this.#paint();
    this.#resizeTimer = setTimeout(() => {
      this.#resizeTimer = undefined;
      if (!this.#resizedAgain) return;
      this.#resizedAgain = false;
      this.#resized();
    }, resizeInterval);
  };
}

function positive(value: number | undefined, fallback: number): number {
  return value !== undefined && value > 0 ? value : fallback;
}
