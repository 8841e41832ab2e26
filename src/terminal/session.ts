import { clipboardCopy, type ClipboardCopy, notification } from './clipboard.js';
import {
  redirectConsole,
  LogFile,
  logFilePath,
  redactSecrets,
  withoutPasswords,
} from '../core/log-file.js';
import { TerminalInput, type TerminalSource } from './input.js';
import { safeBlock } from './sanitise.js';
import { Screen } from './screen.js';
import { TerminalHold, type TerminalStream, linearModes, paintedModes } from './terminal-hold.js';
import { colourSupport, unicodeSupport, type ColourSupport } from './support.js';

/** Exit codes of the console: 128 plus the signal's number, as shells report them. */
export const sessionExitCodes = {
  /** `q`. */
  quit: 0,
  /** An error nobody caught. */
  crash: 1,
  /** SIGHUP, or the terminal is gone. */
  hangUp: 129,
  /** Ctrl-C or SIGINT. */
  interrupt: 130,
  /** SIGQUIT. */
  quitSignal: 131,
  /** SIGABRT. */
  abort: 134,
  /** SIGTERM. */
  terminate: 143,
} as const;

export type SessionEnd = { exitCode: number; error?: unknown };
export type EndHook = () => void | Promise<void>;

export type SessionOptions = {
  input?: TerminalSource;
  output?: TerminalStream;
  environment?: NodeJS.ProcessEnv;
  /** Nothing is painted: the screen's painter writes lines one after the other. */
  isLinear?: boolean;
};

/** How long hooks and the way out may take before the process ends anyway, in milliseconds. */
const maxGoodbye = 3000;

const signals = {
  SIGINT: sessionExitCodes.interrupt,
  SIGTERM: sessionExitCodes.terminate,
  SIGHUP: sessionExitCodes.hangUp,
  SIGQUIT: sessionExitCodes.quitSignal,
  SIGABRT: sessionExitCodes.abort,
} as const;

/**
 * The time in which the console owns the terminal. Opening it enters the alternate screen; every way
 * out (quit, Ctrl-C, signals, a crash, a closed terminal, process.exit) leaves the terminal as it was.
 * Open it before Ink is loaded, which reads the environment then.
 */
export class TerminalSession {
  readonly screen: Screen;
  readonly input: TerminalInput;
  readonly log: LogFile;
  readonly colours: ColourSupport;
  readonly unicode: boolean;
  /** Resolves once the terminal is given back; the process should then clean up and exit. */
  readonly ended: Promise<SessionEnd>;
  /** What Ctrl-C does the first time; the second one always ends the session. */
  onInterrupt: (() => void) | undefined;

  readonly #environment: NodeJS.ProcessEnv;
  readonly #hold: TerminalHold;
  readonly #hooks: EndHook[] = [];
  readonly #restoreConsole: () => void;
  #resolveEnded!: (end: SessionEnd) => void;
  #end: SessionEnd | undefined;
  #wasInterrupted = false;

  constructor(options: SessionOptions = {}) {
    const { input = process.stdin, output = process.stdout, environment = process.env } = options;
    const modes = options.isLinear === true ? linearModes : paintedModes;
    this.#environment = environment;
    this.colours = colourSupport(environment, true);
    this.unicode = unicodeSupport(environment);
    prepareForInk(environment);
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.log = new LogFile(logFilePath(environment));
    this.screen = new Screen(output);
    this.input = new TerminalInput(
      input,
      new Map([
        ['ctrl+c', () => this.#interrupted()],
        ['ctrl+z', () => this.suspend()],
        ['ctrl+l', () => this.screen.repaint()],
      ]),
    );
    this.input.on('closed', () => this.end(sessionExitCodes.hangUp));
    output.on('error', this.#outputFailed);
    this.#hold = new TerminalHold(output, this.screen, this.input, modes);
    for (const signal of signalNames()) process.on(signal, this.#signalled);
    // SIGIOT is SIGABRT by another name: Ink's signal-exit would find itself alone there, raise the signal
    // again, and half the time the process ended with 0 before it was cleaned up.
    if (process.platform !== 'win32') process.on('SIGIOT', () => undefined);
    process.on('uncaughtException', this.#crashed);
    process.on('unhandledRejection', this.#crashed);
    process.on('exit', this.#exiting);
    this.#restoreConsole = redirectConsole(this.log);
    this.#hold.take();
  }

  /** Called when the session ends, before the terminal is given back; the last added comes first. */
  onEnd(hook: EndHook): void {
    this.#hooks.unshift(hook);
  }

  /** Ends the session; the first call decides. An error is logged and shown on the normal screen. */
  end(exitCode: number, error?: unknown): void {
    if (this.#end) return;
    this.#end = error === undefined ? { exitCode } : { exitCode, error };
    process.exitCode = exitCode;
    if (error !== undefined) this.log.write('error', describe(error));
    const overdue = setTimeout(() => process.exit(exitCode), maxGoodbye);
    overdue.unref();
    // A last frame would reach the terminal after it was given back.
    this.screen.close();
    const hooks = this.#hooks.map((hook) => this.#run(hook));
    this.#hold.release();
    this.#restoreConsole();
    if (error !== undefined) this.#printError(error);
    void Promise.all(hooks).then(() => {
      this.#resolveEnded(this.#end ?? { exitCode });
    });
  }

  /** Gives the terminal to the shell until it sends the console to the foreground again (Ctrl-Z). */
  suspend(): void {
    if (!this.#end) this.#hold.suspend();
  }

  /** Puts a text into the clipboard of the terminal; says how much of it the terminal could take. */
  copy(text: string): ClipboardCopy {
    const copy = clipboardCopy(text, this.#environment);
    this.screen.send(copy.sequence);
    return copy;
  }

  /** Rings the bell, and tells the desktop where the terminal can. */
  notify(text: string, how: { bell: boolean; desktop: boolean }): void {
    if (how.bell) this.screen.send('\x07');
    if (how.desktop) this.screen.send(notification(text, this.#environment));
  }

  #interrupted(): void {
    if (this.#wasInterrupted || this.onInterrupt === undefined) {
      this.end(sessionExitCodes.interrupt);
    } else {
      this.#wasInterrupted = true;
      this.onInterrupt();
    }
  }

  readonly #signalled = (signal: NodeJS.Signals): void => {
    const exitCode = signals[signal as keyof typeof signals];
    // Whoever asks twice does not want to wait for the goodbye.
    if (this.#end) process.exit(exitCode);
    this.end(exitCode);
  };

  readonly #crashed = (error: unknown): void => {
    if (isTerminalGone(error)) this.end(sessionExitCodes.hangUp);
    else if (this.#end) this.log.write('error', describe(error));
    else this.end(sessionExitCodes.crash, error);
  };

  readonly #outputFailed = (): void => this.end(sessionExitCodes.hangUp);

  readonly #exiting = (): void => {
    this.#hold.releaseNow();
    if (this.#hold.isTerminalGone()) endByHangUp();
  };

  async #run(hook: EndHook): Promise<void> {
    try {
      await hook();
    } catch (error) {
      this.log.write('error', describe(error));
    }
  }

  #printError(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof Error && 'hint' in error ? error.hint : undefined;
    process.stderr.write(`error: ${safeBlock(redactSecrets(message))}\n`);
    if (typeof hint === 'string')
      process.stderr.write(`hint: ${safeBlock(withoutPasswords(hint))}\n`);
    process.stderr.write(`More is in ${this.log.path}\n`);
  }
}

function signalNames(): (keyof typeof signals)[] {
  const names = Object.keys(signals) as (keyof typeof signals)[];
  // Windows knows no others.
  return process.platform === 'win32'
    ? names.filter((name) => ['SIGINT', 'SIGTERM', 'SIGHUP'].includes(name))
    : names;
}

/** Ink reads these when it is loaded, and ignores new sizes when they are set. */
function prepareForInk(environment: NodeJS.ProcessEnv): void {
  delete environment.CI;
  delete environment.CONTINUOUS_INTEGRATION;
}

/**
 * Node 20 aborts (code 134, a core dump) at a normal exit when it cannot reset a terminal that is
 * gone. Dying of the signal that says so gives the shell the documented 129.
 */
function endByHangUp(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** A write to, or a read from, a terminal whose other end is closed. */
function isTerminalGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO';
}
