import { randomUUID } from 'node:crypto';
import fs, { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';

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

export function isDamaged(holder: LockHolder): boolean {
  return holder === damaged;
}

/** Reads a lock file; undefined when there is none. */
export function readLock(file: string): LockHolder | undefined {
  let written: unknown;
  // A pipe would be waited for.
  if (fs.statSync(file, { throwIfNoEntry: false })?.isFIFO()) return damaged;
  try {
    written = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  return isHolder(written) ? written : damaged;
}

function isHolder(written: unknown): written is LockHolder {
  if (typeof written !== 'object' || written === null) return false;
  const { pid, started, place, nonce, socketFolder } = written as Record<string, unknown>;
  return (
    typeof pid === 'number' &&
    // A signal to 0 or less would go to whole groups of processes.
    Number.isSafeInteger(pid) &&
    pid > 0 &&
    [started, place, nonce, socketFolder].every((text) => typeof text === 'string') &&
    // It becomes part of a file's name.
    /^[\w-]{1,64}$/.test(nonce as string)
  );
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

  /**
   * Takes the lock; undefined when a live process has it.
   *
   * @param name of the lock file, for folders that are no data folder
   */
  static acquire(
    folder: string,
    socketFolder: string,
    name = lockFileName,
  ): FolderLock | undefined {
    return FolderLock.#take(path.join(folder, name), socketFolder);
  }

  static #take(file: string, socketFolder: string): FolderLock | undefined {
    const holder: LockHolder = { ...thisProcess(), nonce: randomUUID(), socketFolder };
    const draft = `${file}.${holder.nonce}`;
    const before = readLock(file);
    // Nothing is written beside a living holder: where the disk is full the room is his.
    if (before !== undefined && isHeld(file, before)) return undefined;
    try {
      // Where the disk is full an empty file is left.
      fs.writeFileSync(draft, JSON.stringify(holder), { mode: 0o600, flag: 'wx' });
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

/** A process as it can be recognised later, although process ids are used again. */
export type ProcessIdentity = {
  pid: number;
  /** When it started, in the system's own words; empty where the system does not tell. */
  started: string;
  /** The machine, boot and process-id namespace in which the pid means something. */
  place: string;
};

function quietly(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** Where process ids of this process mean something: another container has other ones. */
export function placeOfThisProcess(): string {
  return [
    hostname(),
    quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    quietly(() => readlinkSync('/proc/self/ns/pid')),
  ].join(' ');
}

/** When a process started; empty when it does not exist or the system does not tell. */
export function processStart(pid: number): string {
  if (process.platform === 'linux') {
    // Field 22, counted behind the command in brackets, which may hold spaces and brackets itself.
    const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  }
  return quietly(() =>
    execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }),
  );
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, started: processStart(process.pid), place: placeOfThisProcess() };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a process of this place still runs; undefined when it is one of another place. */
export function isAlive(identity: ProcessIdentity): boolean | undefined {
  if (identity.place !== placeOfThisProcess()) {
    // The same machine after a reboot: nothing of before is alive.
    const [host, boot] = identity.place.split(' ');
    const [here, now] = placeOfThisProcess().split(' ');
    return host === here && boot !== now && boot !== '' ? false : undefined;
  }
  if (!exists(identity.pid)) return false;
  return identity.started === '' || processStart(identity.pid) === identity.started;
}
