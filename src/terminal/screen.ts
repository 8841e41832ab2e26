import { EventEmitter } from 'node:events';
import { type Frame, GridPainter, type Painter, plainAppearance } from './painter.js';

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
  /** Frames that were handed over. */
  frames: number;
  /** Frames that changed something and were written. */
  painted: number;
  /** Frames replaced by a later one because the terminal had not taken the one before. */
  skipped: number;
  /** Bytes written to the terminal. */
  bytes: number;
};

/** While a window is dragged, sizes arrive faster than a frame is laid out; one in this time is drawn. */
const resizeInterval = 25;

/**
 * The terminal's side that is looked at: hands each frame to its painter and writes what that makes
 * of it. A terminal that does not take its bytes gets the latest frame once it does.
 */
export class Screen extends EventEmitter<{ resize: [] }> {
  readonly statistics: ScreenStatistics = { frames: 0, painted: 0, skipped: 0, bytes: 0 };
  /** What makes bytes of frames; chosen before the first one. */
  painter: Painter = new GridPainter(plainAppearance);
  /** The size that frames have at least, whatever the terminal says. */
  leastSize = { columns: 1, rows: 1 };

  readonly #output: TerminalOutput;
  #frame: Frame | undefined;
  #isAnew = true;
  #writing = false;
  #waiting = false;
  #active = true;
  #resizeTimer: NodeJS.Timeout | undefined;
  #resizedAgain = false;

  constructor(output: TerminalOutput) {
    super();
    this.#output = output;
    output.on('resize', this.#resized);
  }

  get columns(): number {
    return Math.max(this.leastSize.columns, positive(this.#output.columns, 80));
  }

  get rows(): number {
    return Math.max(this.leastSize.rows, positive(this.#output.rows, 24));
  }

  show(frame: Frame): void {
    this.statistics.frames++;
    if (this.#waiting) this.statistics.skipped++;
    this.#frame = frame;
    this.#paint();
  }

  /** Draws everything anew: after Ctrl-L, or when the process comes back from the background. */
  repaint(): void {
    this.#isAnew = true;
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
    const { columns, rows } = this;
    const data = this.painter.paint(this.#frame, { columns, rows }, this.#isAnew);
    this.#isAnew = false;
    if (data === '') return;
    this.statistics.painted++;
    this.statistics.bytes += Buffer.byteLength(data);
    this.#writing = true;
    this.#output.write(data, this.#written);
  }

  readonly #written = (): void => {
    this.#writing = false;
    if (this.#waiting) this.#paint();
  };

  readonly #resized = (): void => {
    this.#isAnew = true;
    if (this.#resizeTimer) {
      this.#resizedAgain = true;
      return;
    }
    this.emit('resize');
    // Whoever draws has handed over a frame by now; where nobody has, the last one is cut.
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
