import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Every server that the tests start lives in a folder whose name carries its owner, the test run: process id and
 * start time, since ids are reused. A run that was killed leaves its servers behind; the next one recognises them by
 * the name, stops them by their pid file and removes the folder. Servers of living runs are left alone.
 */
export type Owner = { pid: number; startTime: string };

/** A unix socket's path holds 107 bytes, and macOS's temporary folder alone takes half of that. */
const longestBase = 40;

function processStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function startTime(pid: number): string {
  return processStat(pid)?.[19] ?? '0';
}

export function currentOwner(): Owner {
  return { pid: process.pid, startTime: startTime(process.pid) };
}

/** True while the process lives; one that only waits to be reaped by its parent does not. */
export function isRunning(pid: number): boolean {
  const stat = processStat(pid);
  if (stat) return stat[0] !== 'Z';
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export const memoryFolder = '/dev/shm';

export function baseFolder(): string {
  // What a killed run left in memory is found there by the next one, whose temporary files lie in another folder.
  const inMemory = tmpdir().startsWith(`${memoryFolder}/tc-`);
  const chosen = inMemory ? memoryFolder : tmpdir();
  const temporary = chosen.length <= longestBase ? chosen : '/tmp';
  return join(temporary, `trace-console-test-${process.getuid?.() ?? 0}`);
}

/** Makes the folder of a new server, which the user that the server runs as can pass through. */
export function makeServerFolder(owner: Owner): string {
  const base = baseFolder();
  mkdirSync(base, { recursive: true, mode: 0o755 });
  if (statSync(base).uid !== process.getuid?.())
    throw new Error(`${base} belongs to somebody else`);
  const folder = mkdtempSync(join(base, `${owner.pid}-${owner.startTime}-`));
  chmodSync(folder, 0o711);
  return folder;
}

function ownerOf(name: string): Owner | undefined {
  const match = /^(\d+)-(\d+)-\w+$/.exec(name);
  return match?.[1] && match[2] ? { pid: Number(match[1]), startTime: match[2] } : undefined;
}

/** True while the run lives that owns something. */
export function isAlive(owner: Owner): boolean {
  return isRunning(owner.pid) && startTime(owner.pid) === owner.startTime;
}

function folders(keep: (owner: Owner) => boolean): string[] {
  const base = baseFolder();
  let names: string[];
  try {
    names = readdirSync(base);
  } catch {
    return [];
  }
  return names
    .filter((name) => {
      const owner = ownerOf(name);
      return owner !== undefined && keep(owner);
    })
    .map((name) => join(base, name));
}

/**
 * The process that runs in the folder, by its pid file. The number alone proves nothing after a crash, so the process must
 * also name the folder on its command line.
 */
function processOf(folder: string, pidFile: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(folder, pidFile), 'utf8').split('\n')[0]);
    if (!Number.isInteger(pid) || pid <= 1 || !isRunning(pid)) return undefined;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself in the meantime.
  }
}

/** Tells everything that runs in the folder to stop at once; returns the process ids. */
function quit(folder: string): number[] {
  const processes: number[] = [];
  const pooler = processOf(folder, 'pgbouncer.pid');
  if (pooler !== undefined) {
    signal(pooler, 'SIGTERM');
    processes.push(pooler);
  }
  const postmaster = processOf(folder, 'data/postmaster.pid');
  if (postmaster !== undefined) {
    signal(postmaster, 'SIGQUIT');
    processes.push(postmaster);
  }
  return processes;
}

/** A server's data may lie on a disk of its own. */
export function unmountDisk(dataFolder: string): void {
  if (
    !existsSync('/proc/mounts') ||
    !readFileSync('/proc/mounts', 'utf8').includes(` ${dataFolder} `)
  )
    return;
  execFileSync('umount', ['--lazy', dataFolder]);
}

async function removeFolder(folder: string): Promise<void> {
  const processes = quit(folder);
  const deadline = Date.now() + 10_000;
  while (processes.some(isRunning) && Date.now() < deadline) await sleep(20);
  for (const pid of processes.filter(isRunning)) signal(pid, 'SIGKILL');
  unmountDisk(join(folder, 'data'));
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Stops and removes the servers of runs that are no more; returns their folders. */
export async function cleanStaleServers(): Promise<string[]> {
  const stale = folders((owner) => !isAlive(owner));
  await Promise.all(stale.map(removeFolder));
  return stale;
}

/** Stops and removes every server of this run. */
export async function removeServersOf(owner: Owner): Promise<void> {
  const own = folders(({ pid, startTime }) => pid === owner.pid && startTime === owner.startTime);
  await Promise.all(own.map(removeFolder));
}

/** The same from a signal or exit handler, where nothing can be awaited. */
export function removeServersOfSync(owner: Owner): void {
  const own = folders(({ pid, startTime }) => pid === owner.pid && startTime === owner.startTime);
  const processes = own.flatMap(quit);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const deadline = Date.now() + 3_000;
  while (processes.some(isRunning) && Date.now() < deadline) Atomics.wait(pause, 0, 0, 20);
  for (const folder of own) unmountDisk(join(folder, 'data'));
  for (const folder of own) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
