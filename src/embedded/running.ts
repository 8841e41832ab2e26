import { setTimeout as sleep } from 'node:timers/promises';
import fs from 'node:fs';
import path from 'node:path';
import { readTroubles, type Trouble } from '../core/log-file.js';
import { readNumber } from '../core/values.js';
import { ConsoleError } from '../db/errors.js';
import { askDaemon, NoDaemon, controlProtocol, type DaemonStatus } from './control.js';
import { buildOf, locatePrograms, type Programs, launchDaemon } from './daemon/programs.js';
import { engineDatabase, engineUser } from './engine/messages.js';
import { isDamaged, isHeld, lockFileName, readLock, type LockHolder } from '../core/folder-lock.js';
import {
  chooseSocketFolder,
  embeddedPort,
  inFolder,
  resolveDataFolder,
  ensurePrivateFolder,
  folderFailure,
} from './folder/paths.js';
import type { Progress } from './folder/template.js';
import type { Limits } from './mux/limits.js';

export type { DaemonStatus } from './control.js';
export { resolveDataFolder } from './folder/paths.js';

/** Where an ordinary client of PostgreSQL connects: `psql -h host -p port -U user database`. */
export type EmbeddedAddress = {
  /** The folder of the socket, which only its owner can enter. */
  host: string;
  port: number;
  user: string;
  database: string;
  dataDir: string;
};

export type OpenEmbeddedOptions = {
  /** Default: `trace-console/embedded` in the XDG data home. */
  dataDir?: string;
  onProgress?: Progress;
  /** Time without a client after which the daemon ends; 5 minutes. Used when it is started here. */
  idleExitMs?: number;
  /** For tests: other programs, other limits. */
  programs?: Programs;
  limits?: Partial<Limits>;
};

const defaultIdleExitMs = 300_000;

/** A daemon that holds its lock but does not answer is given this long (ms). */
const silenceLimitMs = 10_000;

/** A daemon that is there answers a question about its state at once (ms). */
const statusLimitMs = 3_000;

/** Daemons that end before they answer: after so many there is no point in another one. */
const mostLaunches = 3;

type Found = { holder: LockHolder; status: DaemonStatus };

/**
 * Gives the address of the embedded database, starting its daemon (and creating the database) when
 * needed. Cheap when it runs, about 3 ms: call it again before a reconnect.
 * @throws ConsoleError `embedded_unavailable`
 */
export async function openEmbedded(options: OpenEmbeddedOptions = {}): Promise<EmbeddedAddress> {
  const dataDir = resolveDataFolder(options.dataDir);
  ensurePrivateFolder(dataDir);
  const programs = options.programs ?? locatePrograms();
  const retired = new Set<string>();
  let silentSince: number | undefined;
  let launches = 0;
  for (;;) {
    const holder = liveHolder(dataDir);
    if (holder === undefined) {
      silentSince = undefined;
      if ((launches += 1) > mostLaunches) throw shortLived(dataDir);
      options.onProgress?.({ message: 'Starting the embedded database' });
      const { idleExitMs = defaultIdleExitMs, limits } = options;
      const launch = { dataFolder: dataDir, idleExitMs, ...(limits ? { limits } : {}) };
      await launchDaemon(programs, launch);
      continue;
    }
    const askedAt = performance.now();
    const found = await greet(holder, options.onProgress);
    if (found === undefined) {
      silentSince ??= askedAt;
      if (performance.now() - silentSince >= silenceLimitMs) throw silent(dataDir, holder);
      await sleep(25);
      continue;
    }
    silentSince = undefined;
    if (found.status.phase === 'stopping') await sleep(25);
    else if (retired.has(holder.nonce) || !(await retire(found, programs, retired))) {
      refuseOtherProtocol(dataDir, found);
      return address(dataDir, holder);
    }
  }
}

function address(dataDir: string, holder: LockHolder): EmbeddedAddress {
  const host = holder.socketFolder;
  return { host, port: embeddedPort, user: engineUser, database: engineDatabase, dataDir };
}

function liveHolder(dataDir: string): LockHolder | undefined {
  const file = path.join(dataDir, lockFileName);
  let holder: LockHolder | undefined;
  try {
    holder = readLock(file);
  } catch (cause) {
    throw folderFailure(dataDir, cause);
  }
  if (holder === undefined || !isHeld(file, holder)) return undefined;
  if (!isDamaged(holder)) return holder;
  throw new ConsoleError('embedded_unavailable', `The lock file ${file} is damaged.`, {
    hint: 'If no other console or machine uses that folder, remove the file; a minute after it was written it is replaced unasked.',
  });
}

/** Waits until the daemon is ready; undefined when it does not answer (yet, or any more). */
async function greet(holder: LockHolder, onProgress?: Progress): Promise<Found | undefined> {
  try {
    const answer = await askDaemon(holder.socketFolder, 'hello', onProgress, silenceLimitMs);
    if (answer.kind !== 'failed') return { holder, status: answer.status };
    const { code, message, hint } = answer;
    throw new ConsoleError(code, message, hint === undefined ? {} : { hint });
  } catch (error) {
    if (error instanceof NoDaemon) return undefined;
    throw error;
  }
}

/** Asks an older daemon to make room; true when it may have done so. */
async function retire(found: Found, programs: Programs, retired: Set<string>): Promise<boolean> {
  if (!isOlder(found.status.build, buildOf(programs))) return false;
  retired.add(found.holder.nonce);
  try {
    const answer = await askDaemon(found.holder.socketFolder, 'retire');
    return answer.kind !== 'refused';
  } catch (error) {
    if (error instanceof NoDaemon) return true;
    throw error;
  }
}

/** Whether a build is to make room for ours: a lower version, or another build of the same one. */
export function isOlder(theirs: string, ours: string): boolean {
  if (theirs === ours) return false;
  const numbers = (build: string): number[] =>
    (build.split('+')[0] ?? '')
      .split(/[.-]/)
      .map((part) => readNumber(/^\d*/.exec(part)?.[0]) || 0);
  const [their, our] = [numbers(theirs), numbers(ours)];
  for (let index = 0; index < Math.max(their.length, our.length); index += 1) {
    const difference = (their[index] ?? 0) - (our[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return true;
}

function refuseOtherProtocol(dataDir: string, { status }: Found): void {
  if (status.protocol === controlProtocol) return;
  throw new ConsoleError(
    'embedded_unavailable',
    `The embedded database in ${dataDir} is in use by trace-console ${status.version}.`,
    { hint: 'Quit the other consoles, or run "trace-console embedded stop".' },
  );
}

function silent(dataDir: string, holder: LockHolder): ConsoleError {
  return new ConsoleError(
    'embedded_unavailable',
    `The embedded database does not answer: process ${holder.pid} holds ${dataDir}.`,
    {
      hint: `See daemon.log there. If that process was stopped, continue it (kill -CONT ${holder.pid}); if it hangs, end it (kill -9 ${holder.pid}) and try again.`,
    },
  );
}

function shortLived(dataDir: string): ConsoleError {
  return new ConsoleError(
    'embedded_unavailable',
    'The embedded database ended again and again while it started.',
    { hint: `See ${inFolder.log(dataDir)}.` },
  );
}

/**
 * The state of the daemon of a data folder; undefined when none runs.
 *
 * @throws ConsoleError `embedded_unavailable` when its process is there and does not answer
 */
export async function embeddedStatus(dataDir?: string): Promise<DaemonStatus | undefined> {
  const folder = resolveDataFolder(dataDir);
  const holder = liveHolder(folder);
  if (holder === undefined) return undefined;
  try {
    const answer = await askDaemon(holder.socketFolder, 'status', undefined, statusLimitMs);
    return answer.kind === 'failed' ? undefined : answer.status;
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    // One whose socket is closed has just begun, or is about to end.
    if (error.isSilent) throw silent(folder, holder);
    return undefined;
  }
}

export type DaemonHealth = {
  status: DaemonStatus;
  /** What its log has of it, and of those before it, the newest first. */
  troubles: readonly Trouble[];
};

/** How the daemon at a socket folder is; undefined when it does not say. */
export async function daemonHealth(
  socketFolder: string,
  sinceMs: number,
): Promise<DaemonHealth | undefined> {
  try {
    const answer = await askDaemon(socketFolder, 'status', undefined, statusLimitMs);
    if (answer.kind === 'failed') return undefined;
    const { status } = answer;
    const { dataFolder } = status;
    const log = dataFolder === undefined ? undefined : inFolder.log(dataFolder);
    return { status, troubles: log === undefined ? [] : readTroubles(log, sinceMs) };
  } catch (error) {
    if (error instanceof NoDaemon) return undefined;
    throw error;
  }
}

/** The folder of the socket, whether a daemon has the data folder or not; undefined: there is no such folder. */
export function socketFolderFor(dataFolder: string): string | undefined {
  const running = socketFolderOf(dataFolder);
  return running ?? (fs.existsSync(dataFolder) ? chooseSocketFolder(dataFolder) : undefined);
}

/** The folder of the socket while a daemon has the data folder. */
export function socketFolderOf(dataDir?: string): string | undefined {
  return liveHolder(resolveDataFolder(dataDir))?.socketFolder;
}

/**
 * Stops the daemon of a data folder, clients or not, and waits until the folder is free.
 * @returns false when none ran.
 */
export async function stopEmbedded(dataDir?: string, patienceMs = 60_000): Promise<boolean> {
  const folder = resolveDataFolder(dataDir);
  const holder = liveHolder(folder);
  if (holder === undefined) return false;
  try {
    await askDaemon(holder.socketFolder, 'stop', undefined, statusLimitMs);
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
    if (liveHolder(folder)?.nonce !== holder.nonce) return true;
    process.kill(holder.pid, 'SIGTERM');
    // One that does not answer will hardly heed a signal.
    if (error.isSilent) patienceMs = Math.min(patienceMs, statusLimitMs);
  }
  const deadline = performance.now() + patienceMs;
  while (liveHolder(folder)?.nonce === holder.nonce) {
    if (performance.now() > deadline) throw silent(folder, holder);
    await sleep(25);
  }
  return true;
}
