import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { join } from 'node:path';
import { currentOwner, isAlive, memoryFolder } from './server-folders.js';

/** What servers and embedded databases of a run take at most, and what is to be left for others. */
const enoughBytes = 8 * 1024 ** 3;

/**
 * Lets temporary files of a run lie in memory, where there is enough: a new cluster and a copied data folder take a tenth to a
 * third of the processor time that they take on a disk. Who sets TMPDIR has chosen.
 *
 * @returns what removes them
 */
export function keepTemporaryFilesInMemory(): () => void {
  if (process.env.TMPDIR !== undefined || !isRoomy()) return () => undefined;
  for (const name of readdirSync(memoryFolder)) {
    const [, pid, startTime] = /^tc-(\d+)-(\d+)$/.exec(name) ?? [];
    if (pid === undefined || startTime === undefined) continue;
    if (!isAlive({ pid: Number(pid), startTime })) remove(join(memoryFolder, name));
  }
  const { pid, startTime } = currentOwner();
  const folder = join(memoryFolder, `tc-${pid}-${startTime}`);
  mkdirSync(folder);
  // As /tmp is: servers run as a user of their own.
  chmodSync(folder, 0o1777);
  process.env.TMPDIR = folder;
  return () => remove(folder);
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Programs are started there, too, which a container may forbid. */
function isRoomy(): boolean {
  if (!existsSync('/proc/mounts')) return false;
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const [, , type, options] =
    mounts.find((line) => line.includes(` ${memoryFolder} `))?.split(' ') ?? [];
  if (type !== 'tmpfs' || options?.split(',').includes('noexec') !== false) return false;
  const { bavail, bsize } = statfsSync(memoryFolder);
  const available = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Math.min(bavail * bsize, Number(available ?? 0) * 1024) >= enoughBytes;
}
