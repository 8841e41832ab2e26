import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { redactSecrets } from './redact.js';

type Environment = Record<string, string | undefined>;

/** Bytes of one log file; the file before is kept beside it, so that twice this is the bound. */
const maxBytes = 1024 * 1024;
const maxEntry = 16_384;

/** The log of the console: $XDG_STATE_HOME/trace-console/console.log, else below ~/.local/state. */
export function logFilePath(environment: Environment, home: string = os.homedir()): string {
  const { XDG_STATE_HOME: state, LOCALAPPDATA: windows } = environment;
  const base =
    state !== undefined && path.isAbsolute(state)
      ? state
      : (windows ?? path.join(home, '.local', 'state'));
  return path.join(base, 'trace-console', 'console.log');
}

/**
 * Where console output and warnings go while the screen is owned. Readable by its owner only, bounded
 * in size, without secrets. A log that cannot be written is no reason to stop: entries are dropped.
 */
export class LogFile {
  #descriptor: number | undefined;
  #size = 0;

  /** Nothing is created before the first entry. */
  constructor(readonly path: string) {}

  /** Whether anything was written since the start. */
  get hasEntries(): boolean {
    return this.#descriptor !== undefined;
  }

  write(level: 'debug' | 'info' | 'warning' | 'error', text: string): void {
    const message = redactSecrets(text.slice(0, maxEntry)).trimEnd();
    const entry = `${new Date().toISOString()} ${level} [${process.pid}] ${message}\n`;
    try {
      const descriptor = this.#open();
      this.#size += fs.writeSync(descriptor, entry);
      if (this.#size > maxBytes) this.#rotate();
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    try {
      fs.closeSync(descriptor);
    } catch {
      // Nothing of the log can be saved any more.
    }
  }

  #open(): number {
    if (this.#descriptor !== undefined) return this.#descriptor;
    fs.mkdirSync(path.dirname(this.path), { recursive: true, mode: 0o700 });
    this.#descriptor = fs.openSync(this.path, 'a', 0o600);
    fs.fchmodSync(this.#descriptor, 0o600);
    this.#size = fs.fstatSync(this.#descriptor).size;
    return this.#descriptor;
  }

  #rotate(): void {
    this.close();
    fs.renameSync(this.path, `${this.path}.1`);
    this.#open();
  }
}
