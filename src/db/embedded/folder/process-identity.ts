import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

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
