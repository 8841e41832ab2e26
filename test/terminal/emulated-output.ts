import { EventEmitter } from 'node:events';
import type { Terminal } from '@xterm/headless';
import type { TerminalOutput } from '../../src/terminal/screen.js';
import { createEmulator } from '../e2e/helpers/emulator.js';

/** An output stream whose other end is a headless terminal. */
export class EmulatedOutput extends EventEmitter implements TerminalOutput {
  readonly terminal: Terminal;
  /** Everything written, in order. */
  readonly writes: string[] = [];
  /** While true, nothing written is taken, as by a terminal that has stopped reading. */
  stalled = false;
  readonly #pending: (() => void)[] = [];

  constructor(
    public columns: number,
    public rows: number,
  ) {
    super();
    this.terminal = createEmulator(columns, rows);
  }

  write(data: string, done?: (error?: Error | null) => void): boolean {
    this.writes.push(data);
    const deliver = (): void => this.terminal.write(data, () => done?.());
    if (this.stalled) this.#pending.push(deliver);
    else deliver();
    return !this.stalled;
  }

  resizeTo(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.terminal.resize(columns, rows);
    this.emit('resize');
  }

  takeAll(): void {
    this.stalled = false;
    for (const deliver of this.#pending.splice(0)) deliver();
  }

  /** Resolves when the terminal has drawn everything written so far, and what that made be written. */
  async settled(): Promise<void> {
    let count: number;
    do {
      count = this.writes.length;
      await new Promise<void>((resolve) => this.terminal.write('', resolve));
      await new Promise((resolve) => setImmediate(resolve));
    } while (count !== this.writes.length);
  }

  /** Every cell of the screen with its character, colours and attributes. */
  cells(): string[] {
    const buffer = this.terminal.buffer.active;
    const rows: string[] = [];
    for (let row = 0; row < this.terminal.rows; row++) {
      const line = buffer.getLine(buffer.viewportY + row);
      const cells: string[] = [];
      for (let column = 0; column < this.terminal.cols; column++) {
        const cell = line?.getCell(column);
        if (!cell) continue;
        const attributes = [
          cell.isBold(),
          cell.isDim(),
          cell.isItalic(),
          cell.isUnderline(),
          cell.isInverse(),
        ];
        const colours = [
          cell.getFgColorMode(),
          cell.getFgColor(),
          cell.getBgColorMode(),
          cell.getBgColor(),
        ];
        const flags = [...attributes, ...colours].map(Number).join();
        cells.push(`${cell.getChars() || ' '}${flags === '0,0,0,0,0,0,-1,0,-1' ? '' : flags}`);
      }
      rows.push(cells.join('|'));
    }
    return rows;
  }
}
