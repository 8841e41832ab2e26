import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isAlive, thisProcess, type ProcessIdentity } from './process-identity.js';

/** What the lock file of a data folder says about its holder. */
export type LockHolder = ProcessIdentity & {
  /** Different for every time the lock is taken. */
  nonce: string;
  /** The folder of the daemon's socket. */
  socketFolder: string;
};

/** A holder on another machine or in another container counts as alive this long (ms). */
const heartbeatTimeoutMs = 60_000;

export const lockFileName = 'daemon.lock';

/** A file emptied by a crash of the machine: believed like a holder of another machine. */
const damaged: LockHolder = { pid: 0, started: '', place: '', nonce: 'damaged', socketFolder: '' };

/** Reads a lock file; undefined when there is none. */
export function readLock(file: string): LockHolder | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as LockHolder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return damaged;
    throw error;
  }
}

/** Whether the holder may still be using the folder. In doubt it is. */
export function isHeld(file: string, holder: LockHolder): boolean {
  const alive = isAlive(holder);
  if (alive !== undefined) return alive;
  const touched = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Date.now() - touched < heartbeatTimeoutMs;
}

/**
 * The exclusive right to a data folder: two engines on one folder corrupt it (in 3 of 3 tries).
 * The lock is a file created whole by link(2), which fails when it exists. A dead holder's file is
 * removed only by who holds the lock on that removal, named after the dead holder's nonce, and
 * has looked again under it; so two that find the same dead holder cannot remove each other's.
 */
export class FolderLock {
  readonly #file: string;
  readonly #nonce: string;

  private constructor(file: string, nonce: string) {
    this.#file = file;
    this.#nonce = nonce;
  }

  /** Takes the lock; undefined when a live process has it. */
  static acquire(folder: string, socketFolder: string): FolderLock | undefined {
    return FolderLock.#take(path.join(folder, lockFileName), socketFolder);
  }

  static #take(file: string, socketFolder: string): FolderLock | undefined {
    const holder: LockHolder = { ...thisProcess(), nonce: randomUUID(), socketFolder };
    const draft = `${file}.${holder.nonce}`;
    fs.writeFileSync(draft, JSON.stringify(holder), { mode: 0o600, flag: 'wx' });
    try {
      for (;;) {
        try {
          fs.linkSync(draft, file);
          return new FolderLock(file, holder.nonce);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
        const other = readLock(file);
        if (other !== undefined && !FolderLock.#removeDead(file, other)) return undefined;
      }
    } finally {
      fs.rmSync(draft, { force: true });
    }
  }

  /** Removes the file of a dead holder; false when it is alive or somebody else is at it. */
  static #removeDead(file: string, holder: LockHolder): boolean {
    if (isHeld(file, holder)) return false;
    const removal = FolderLock.#take(`${file}.${holder.nonce}.removal`, '');
    if (removal === undefined) return false;
    try {
      if (readLock(file)?.nonce === holder.nonce) fs.rmSync(file);
      return true;
    } finally {
      removal.release();
    }
  }

  /** Tells those who cannot see this process that it lives. */
  touch(): void {
    const now = new Date();
    try {
      fs.utimesSync(this.#file, now, now);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Still this process's lock? It is not when somebody has deleted the folder. */
  get isOurs(): boolean {
    try {
      return readLock(this.#file)?.nonce === this.#nonce;
    } catch {
      return false;
    }
  }

  release(): void {
    if (this.isOurs) fs.rmSync(this.#file, { force: true });
  }
}
