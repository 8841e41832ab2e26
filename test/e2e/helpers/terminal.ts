import pty from '@lydell/node-pty';
import type { IBufferCell, Terminal } from '@xterm/headless';
import { createEmulator, visibleLines } from './emulator.js';
import { WholeFrames } from './whole-frames.js';

export type SpawnOptions = {
  cols?: number;
  rows?: number;
  /** Added to a clean environment (PATH, HOME, a UTF-8 locale, xterm-256color). */
  env?: Record<string, string | undefined>;
  cwd?: string;
};

/** How a program ended: its exit code, and the number of the signal that killed it, or 0. */
export type Exit = { exitCode: number; signal: number };

type Condition = string | RegExp | ((lines: string[]) => boolean);

const pollInterval = 10;
/** Generous: a machine that is busy is no failure, and what comes is not waited for longer. */
const defaultTimeout = 50_000;

/** What shows a screen and takes keys: a program in a terminal, or the console in the test's own process. */
export type ScreenDriver = Pick<
  TerminalDriver,
  'press' | 'screen' | 'text' | 'cell' | 'resize' | 'waitFor' | 'titles'
>;

/** A program in a pseudo terminal, whose screen is a headless xterm. Close it with `dispose`. */
export class TerminalDriver {
  readonly emulator: Terminal;
  /** Titles, bells and clipboard texts the program asked the terminal for, in order. */
  readonly titles: string[] = [];
  readonly clipboard: string[] = [];
  bells = 0;
  /** Bytes the program has written. */
  bytes = 0;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;

  readonly #pty: pty.IPty;
  readonly #frames = new WholeFrames();
  /** What is visible; undefined since something of it may have changed. */
  #visible: { lines: string[]; text: string } | undefined;

  constructor(program: string, args: readonly string[], options: SpawnOptions = {}) {
    const { cols = 120, rows = 35, cwd = process.cwd(), env = {} } = options;
    this.emulator = createEmulator(cols, rows);
    const look = () => (this.#visible = undefined);
    this.emulator.onWriteParsed(look);
    this.emulator.onTitleChange((title) => void this.titles.push(title));
    this.emulator.onBell(() => (this.bells += 1));
    this.emulator.parser.registerOscHandler(52, (data) => {
      const text = data.slice(data.indexOf(';') + 1);
      this.clipboard.push(Buffer.from(text, 'base64').toString('utf8'));
      return true;
    });
    this.#pty = pty.spawn(program, [...args], { cols, rows, cwd, env: cleanEnvironment(env) });
    // What the terminal answers (device attributes, cursor position) goes to the program, as in life.
    this.emulator.onData((reply) => this.#pty.write(reply));
    this.#pty.onData((data) => {
      this.bytes += Buffer.byteLength(data);
      this.emulator.write(this.#frames.push(data), look);
    });
    this.exited = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode, signal = 0 }) => {
        this.exit = { exitCode, signal };
        // What was written last is parsed before the exit is reported.
        this.emulator.write(this.#frames.flush(), () => {
          look();
          resolve({ exitCode, signal });
        });
      });
    });
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** 'alternate' while a full-screen program has the terminal. */
  get buffer(): 'normal' | 'alternate' {
    return this.emulator.buffer.active.type;
  }

  /** Whether the cursor is shown; the emulator has no public field for it. */
  get isCursorVisible(): boolean {
    const core = (
      this.emulator as unknown as { _core: { coreService: { isCursorHidden: boolean } } }
    )._core;
    return !core.coreService.isCursorHidden;
  }

  /** Types keys, or anything else a terminal sends. */
  press(keys: string): void {
    this.#pty.write(keys);
  }

  /** Sends bytes that need not be text. */
  pressBytes(bytes: readonly number[]): void {
    (this.#pty as unknown as { write(data: Buffer): void }).write(Buffer.from(bytes));
  }

  /** The visible lines, without trailing blanks. */
  screen(): string[] {
    return [...this.#look().lines];
  }

  text(): string {
    return this.#look().text;
  }

  cell(column: number, row: number): IBufferCell | undefined {
    const buffer = this.emulator.buffer.active;
    return buffer.getLine(buffer.viewportY + row)?.getCell(column);
  }

  resize(cols: number, rows: number): void {
    this.emulator.resize(cols, rows);
    this.#visible = undefined;
    this.#pty.resize(cols, rows);
  }

  /** Waits until the screen shows a text, matches a pattern or satisfies a predicate. */
  async waitFor(condition: Condition, timeout = defaultTimeout): Promise<void> {
    const deadline = Date.now() + timeout;
    for (;;) {
      if (this.#holds(condition)) return;
      if (Date.now() > deadline || this.exit) {
        await new Promise<void>((resolve) => this.emulator.write('', resolve));
        if (this.#holds(condition)) return;
        const why = this.exit
          ? `the program ended with ${this.exit.exitCode}`
          : `${timeout} ms passed`;
        throw new Error(`${why} without ${String(condition)} on the screen:\n${this.text()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollInterval));
    }
  }

  /** Waits for the program's end; fails when it does not come. */
  async waitForExit(timeout = defaultTimeout): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the program still runs after ${timeout} ms:\n${this.text()}`)),
        timeout,
      );
    });
    return Promise.race([this.exited, late]).finally(() => clearTimeout(timer));
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Stops reading what the program writes, as a terminal that is paused; false reads on. */
  stall(isStalled: boolean): void {
    if (isStalled) this.#pty.pause();
    else this.#pty.resume();
  }

  /** Closes the terminal's end of the line, as a closed window does. */
  hangUp(): void {
    (this.#pty as unknown as { destroy(): void }).destroy();
  }

  async dispose(): Promise<void> {
    if (!this.exit) {
      try {
        process.kill(this.pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
      this.#pty.resume();
      await this.exited;
    }
    this.emulator.dispose();
  }

  /** Who waits looks a hundred times a second, which took a tenth of a core on large screens. */
  #look(): { lines: string[]; text: string } {
    if (this.#visible === undefined) {
      const lines = visibleLines(this.emulator);
      this.#visible = { lines, text: lines.join('\n') };
    }
    return this.#visible;
  }

  #holds(condition: Condition): boolean {
    if (typeof condition === 'function') return condition(this.screen());
    const text = this.text();
    return typeof condition === 'string' ? text.includes(condition) : condition.test(text);
  }
}

/** Starts a program in a new terminal. */
export function spawn(
  program: string,
  args: readonly string[],
  options?: SpawnOptions,
): TerminalDriver {
  return new TerminalDriver(program, args, options);
}

/** What a login has; nothing of the test runner's own (CI, colours, database variables). */
function cleanEnvironment(added: Record<string, string | undefined>): Record<string, string> {
  const { PATH, HOME } = process.env;
  const base = { PATH, HOME, LANG: 'C.UTF-8', TERM: 'xterm-256color', ...added };
  const entries = Object.entries(base).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
