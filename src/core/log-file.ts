import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createFolder } from './create-folder.js';
import { consoleFolder } from './folders.js';
import { Console } from 'node:console';
import { Writable } from 'node:stream';

type Environment = Record<string, string | undefined>;

/** Bytes of one log file; the file before is kept beside it, so that twice this is the bound. */
const maxBytes = 1024 * 1024;
const maxEntry = 16_384;

// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]+/g;

/** The log of the console: $XDG_STATE_HOME/trace-console/console.log, else below ~/.local/state. */
export function logFilePath(environment: Environment): string {
  // Below a file nothing can be written: without a home folder, there is no log.
  return path.join(consoleFolder('state', environment) ?? os.devNull, 'console.log');
}

/**
 * The log of a program, the console's or the embedded database's: readable by its owner only, bounded in size, without
 * secrets. A log that cannot be written is no reason to stop: entries are dropped.
 */
export class LogFile {
  #hasEntries = false;

  /** Nothing is created before the first entry. */
  constructor(readonly path: string) {}

  /** Whether anything was written since the start. */
  get hasEntries(): boolean {
    return this.#hasEntries;
  }

  write(level: 'debug' | 'info' | 'warning' | 'error', text: string): void {
    // Cut last: half a password is none that could be found.
    const message = redactSecrets(text).slice(0, maxEntry).trimEnd();
    // Control characters stay out of the reader's terminal, and no line of an entry looks like another entry.
    const lines = message.replace(controls, ' ').replaceAll('\n', '\n  ');
    const entry = `${new Date().toISOString()} ${level} [${process.pid}] ${lines}\n`;
    try {
      if (!this.#hasEntries) this.#prepare();
      // Several processes write to one log: whoever finds it full sets it aside.
      const size = fs.statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
      if (size > maxBytes) fs.renameSync(this.path, `${this.path}.1`);
      fs.appendFileSync(this.path, entry, { mode: 0o600 });
      this.#hasEntries = true;
    } catch {
      // Dropped.
    }
  }

  /** Once: a folder that somebody deletes while the program runs stays deleted. */
  #prepare(): void {
    createFolder(path.dirname(this.path));
    if (fs.existsSync(this.path)) fs.chmodSync(this.path, 0o600);
  }
}

/** The first line of an entry that is more than information. */
export type Trouble = { atMs: number; level: 'warning' | 'error'; text: string };

/** Of a log longer than this only the end is read (bytes). */
const readBytes = 65_536;
const troubleLine = /^(\S{20,30}) (warning|error) \[\d+\] (.*)$/;

/** What went wrong since then, the newest first, as the log has it; nothing where there is no log. */
export function readTroubles(file: string, sinceMs: number): Trouble[] {
  let text: string;
  try {
    const descriptor = fs.openSync(file, 'r');
    try {
      const { size } = fs.fstatSync(descriptor);
      const bytes = Buffer.alloc(Math.min(size, readBytes));
      const read = fs.readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
      text = bytes.toString('utf8', 0, read);
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    return [];
  }
  return text
    .split('\n')
    .flatMap((line) => {
      const [, at = '', level, what = ''] = troubleLine.exec(line) ?? [];
      const atMs = Date.parse(at);
      if (!(atMs >= sinceMs)) return [];
      return [{ atMs, level: level === 'error' ? 'error' : 'warning', text: what } as const];
    })
    .reverse();
}

// A URL with a password; password=… of a connection string or an environment; "password": "…".
const inUrl = /(:\/\/[^\s:/@]*:)[^\s@/]+(?=@)/g;
const inPair =
  /((?:password|passwd|secret|token|api_?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&}]+)/gi;

/** Passwords of the connections of this process. */
const inUse = new Set<string>();

/** Words of messages: a password that is one of them would make these unreadable, and is guessed anyway. */
const commonWords: ReadonlySet<string> = new Set([
  ...['password', 'passwords', 'postgres', 'postgresql', 'supabase', 'database', 'databases'],
  ...['localhost', 'template', 'template0', 'template1', 'timescale', 'timescaledb', 'pgbouncer'],
  ...['username', 'connection', 'statement', 'permission', 'relation', 'production'],
  ...['development', 'trace-console', 'trace_console'],
]);

/**
 * Keeps a password out of all that is written from now on, also where it stands by itself: a library may name it in
 * an error.
 *
 * @param names what a text may name, and a password that is no secret may be: user, database, host. Common words are too.
 */
export function keepSecret(password: string, names: readonly string[]): void {
  const isName = names.includes(password) || commonWords.has(password.toLowerCase());
  if (password.length >= 8 && !isName) inUse.add(password);
}

/** A text without the passwords of this process's connections, wherever they came from. */
export function withoutPasswords(text: string): string {
  let without = text;
  for (const password of inUse) {
    without = without.replaceAll(password, '***').replaceAll(encodeURIComponent(password), '***');
  }
  return without;
}

/** A text without these, and without the passwords and tokens that libraries write into messages. */
export function redactSecrets(text: string): string {
  return withoutPasswords(text.replace(inUrl, '$1***').replace(inPair, '$1***'));
}

type StandardError = { isTTY?: boolean; write: typeof process.stderr.write };

/**
 * Sends what would be printed over the screen to the log file: the console object, Node's
 * warnings, and stderr where it is the terminal. The result undoes it.
 */
export function redirectConsole(log: LogFile, stderr: StandardError = process.stderr): () => void {
  const originalConsole = globalThis.console;
  globalThis.console = new Console({ stdout: sink(log, 'info'), stderr: sink(log, 'error') });

  const warningListeners = process.rawListeners('warning');
  process.removeAllListeners('warning');
  const logWarning = (warning: Error) => log.write('warning', warning.stack ?? String(warning));
  process.on('warning', logWarning);

  const writeError = stderr.write;
  if (stderr.isTTY === true) {
    stderr.write = (text: string | Uint8Array, ...rest: unknown[]) => {
      log.write('error', typeof text === 'string' ? text : Buffer.from(text).toString('utf8'));
      const done = rest.findLast((value) => typeof value === 'function');
      if (done) process.nextTick(done);
      return true;
    };
  }

  return () => {
    globalThis.console = originalConsole;
    process.off('warning', logWarning);
    for (const listener of warningListeners)
      process.on('warning', listener as (warning: Error) => void);
    stderr.write = writeError;
  };
}

function sink(log: LogFile, level: 'info' | 'error'): Writable {
  return new Writable({
    decodeStrings: false,
    write(text: string | Buffer, _encoding, done) {
      log.write(level, text.toString());
      done();
    },
  });
}
