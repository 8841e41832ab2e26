import type { Terminal } from '@xterm/headless';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { GridPainter } from '../../../src/terminal/painter.js';
import { TerminalInput, type TerminalSource } from '../../../src/terminal/input.js';
import { Screen } from '../../../src/terminal/screen.js';
import type { TerminalSession } from '../../../src/terminal/session.js';
import { ConsoleApp } from '../../../src/ui/app/console-app.js';
import { pressKey } from '../../../src/ui/app/input.js';
import type { AppSettings } from '../../../src/ui/app/options.js';
import { mountConsole } from '../../../src/ui/screen/console-screen.js';
import { createTheme } from '../../../src/ui/theme.js';
import { createEmulator, visibleLines } from '../../e2e/helpers/emulator.js';
import type { ScreenDriver } from '../../e2e/helpers/terminal.js';

type Size = { cols: number; rows: number };
type Condition = Parameters<ScreenDriver['waitFor']>[0];

const pollMs = 15;
const patienceMs = 20_000;

/**
 * The whole console in this process: its keyboard, its app and its screen, with an emulator in place of the terminal.
 * No process is started and no terminal is opened.
 */
export class AppScreen implements ScreenDriver {
  #emulator: Terminal;
  readonly titles: string[] = [];
  /** How often a key has ended the console. */
  ends = 0;
  readonly app: ConsoleApp;
  readonly #keyboard = new EventEmitter();
  readonly #output = new EventEmitter();
  readonly #input: TerminalInput;
  readonly #onEnd: (() => unknown)[] = [];
  readonly #session: TerminalSession;

  private constructor({ cols, rows }: Size, settings: AppSettings) {
    this.#emulator = this.#emulatorOf(cols, rows);
    const write = (data: string) => this.#emulator.write(data);
    const output = Object.assign(this.#output, {
      columns: cols,
      rows,
      write(data: string, done?: () => void) {
        write(data);
        if (done) process.nextTick(done);
        return true;
      },
    });
    const screen = new Screen(output);
    screen.painter = new GridPainter(createTheme({ colours: '16', unicode: true }));
    this.#input = new TerminalInput(keyboardOf(this.#keyboard));
    this.app = new ConsoleApp(
      {
        get size() {
          return { columns: screen.columns, rows: screen.rows };
        },
        onResize: (listener) => screen.on('resize', listener),
        end: () => (this.ends += 1),
        log: () => undefined,
        copy: () => ({ sequence: '', copiedBytes: 0, isCut: false, doubt: undefined }),
        notify: () => undefined,
      },
      settings,
    );
    this.#input.on('key', (key) => pressKey(this.app, key));
    this.#input.open();
    // Of a session the screen is painted on, and it ends: nothing else of it is needed.
    this.#session = {
      screen,
      onEnd: (hook: () => unknown) => void this.#onEnd.push(hook),
      end: () => undefined,
    } as unknown as TerminalSession;
  }

  static async open(size: Size, settings: AppSettings = {}): Promise<AppScreen> {
    const opened = new AppScreen(size, settings);
    await mountConsole(opened.#session, opened.app);
    return opened;
  }

  press(keys: string): void {
    this.#keyboard.emit('data', Buffer.from(keys));
  }

  screen(): string[] {
    return visibleLines(this.#emulator);
  }

  text(): string {
    return this.screen().join('\n');
  }

  cell(column: number, row: number) {
    const buffer = this.#emulator.buffer.active;
    return buffer.getLine(buffer.viewportY + row)?.getCell(column);
  }

  resize(cols: number, rows: number): void {
    // An emulator that is made smaller or larger while it parses forgets whom to tell that it has.
    this.#emulator.dispose();
    this.#emulator = this.#emulatorOf(cols, rows);
    Object.assign(this.#output, { columns: cols, rows });
    this.#output.emit('resize');
  }

  async waitFor(condition: Condition, timeout = patienceMs): Promise<void> {
    const deadline = Date.now() + timeout;
    while (!this.#holds(condition)) {
      if (Date.now() > deadline) {
        throw new Error(`without ${String(condition)} on the screen:\n${this.text()}`);
      }
      await sleep(pollMs);
    }
  }

  async close(): Promise<void> {
    for (const hook of this.#onEnd) hook();
    await this.app.stop();
    this.#input.close();
    this.#emulator.dispose();
  }

  #emulatorOf(cols: number, rows: number): Terminal {
    const emulator = createEmulator(cols, rows);
    emulator.onTitleChange((title) => void this.titles.push(title));
    return emulator;
  }

  #holds(condition: Condition): boolean {
    if (typeof condition === 'function') return condition(this.screen());
    const text = this.text();
    return typeof condition === 'string' ? text.includes(condition) : condition.test(text);
  }
}

function keyboardOf(keys: EventEmitter): TerminalSource {
  return Object.assign(keys, {
    isTTY: true,
    setRawMode: () => undefined,
    ref: () => undefined,
    unref: () => undefined,
    pause: () => undefined,
  });
}
