import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { consoleVersion } from '../../core/version.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTextFile } from '../../core/folders.js';
import { isAlive, isHeld, type LockHolder, readLock } from '../../core/folder-lock.js';
import type { Database } from '../../db/database.js';
import { byOwnKey, readNumber, setOwnKey } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { placeOf } from '../../db/connection/command-flags.js';
import {
  collectorLock,
  isAbsolute,
  lockFreshMs,
  spoolFolder,
  startingFile,
} from '../spool/append.js';
import { agentIds } from '../install/agent.js';
import { atMsOf, telemetryCli, writerCli } from '../spool/frame.js';
import { backlogOf, readSpool } from '../spool/reader.js';

/**
 * The spool of this user. The hook ignores a relative `TRACE_CONSOLE_SPOOL` and says nothing, for nobody would read it; here it is said.
 *
 * @throws ConsoleError `usage`
 */
export function ownSpool(environment: NodeJS.ProcessEnv = process.env): string {
  const { TRACE_CONSOLE_SPOOL: named } = environment;
  if (named !== undefined && named !== '' && !isAbsolute(named)) {
    throw new ConsoleError('usage', `TRACE_CONSOLE_SPOOL is not an absolute path: ${named}`, {
      hint: `Name the folder from the root on, such as ${path.resolve(named)}: a relative one would be another in each project, and hooks ignore it.`,
    });
  }
  return spoolFolder(environment, os.homedir);
}

/** What the collector of a spool says about itself, every second or so. */
export type CollectorStatus = {
  pid: number;
  version: string;
  /** See {@link targetOf}. */
  target: string;
  startedAt: string;
  updatedAt: string;
  /** `waiting`: the database cannot be reached, or refuses; `reason` says why. */
  state: 'following' | 'waiting' | 'ended';
  reason?: string;
  /** Where telemetry is taken, or why it is not where the config file asks for it. */
  listen?: { url: string } | { problem: string };
  /** Requests that its receiver did not take since it started. */
  refused?: Refused;
  /** Since it started. */
  records: number;
  torn: number;
  quarantined: number;
  /** Why the last of these was put aside. */
  asideReason?: string;
  /** The newest event of each CLI that was written, ISO 8601; kept from one collector to the next. */
  lastEvents: Record<string, string>;
  /** How far each segment was read. */
  offsets: Record<string, number>;
};

/** Requests that were not taken, by their status, or `gRPC`: how many, when the last came and when a line was printed of it (ISO 8601). */
export type Refused = Record<string, { count: number; last: string; said: string }>;

const sayEveryMs = 60_000;

/** Counts a request that was not taken. @returns how many there are, and whether a line was printed of one in the last minute */
export function noteRefusal(refused: Refused, reason: string): { count: number; isQuiet: boolean } {
  const now = new Date();
  const { count = 0, said } = byOwnKey(refused, reason) ?? {};
  const isQuiet = said !== undefined && now.getTime() - Date.parse(said) < sayEveryMs;
  const last = now.toISOString();
  setOwnKey(refused, reason, { count: count + 1, last, said: isQuiet ? said : last });
  return { count: count + 1, isQuiet };
}

const sources: ReadonlySet<string> = new Set([...agentIds, telemetryCli, writerCli]);

/** Who sent a record; all that nobody knows have one name: a hook's first argument is anybody's. */
export const sourceOf = (cli: string): string => (sources.has(cli) ? cli : 'other');

/** Notes when a source was heard of, ISO 8601, where that is later than what is known. */
export function noteEvent(lastEvents: Record<string, string>, cli: string, at: string): void {
  const source = sourceOf(cli);
  if (at > (byOwnKey(lastEvents, source) ?? '')) setOwnKey(lastEvents, source, at);
}

/** Host, database and schema into which a collector writes; of an embedded database also the folder of its socket, for a machine may have several. */
export function targetOf(database: Database): string {
  const place = placeOf(database);
  return database.capabilities.embedded ? `${place}, socket in ${database.address.host}` : place;
}

/** Whether a target is the embedded database with its socket there. */
export const isInto = (target: string, socketFolder: string): boolean =>
  target.endsWith(`, socket in ${socketFolder}`);

const fileName = 'collector.json';

export function writeStatus(folder: string, status: CollectorStatus): void {
  const file = path.join(folder, fileName);
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, JSON.stringify(status), { mode: 0o600 });
  fs.renameSync(draft, file);
}

/** What a collector that cannot begin leaves behind. */
const nothingYet: Omit<CollectorStatus, 'pid' | 'version' | 'updatedAt' | 'startedAt'> = {
  target: '',
  state: 'ended',
  records: 0,
  torn: 0,
  quarantined: 0,
  lastEvents: {},
  offsets: {},
};

/** How long (ms) hooks start no other collector after one could not begin. */
const restMs = 60_000;

/** Says why a collector that nobody watches has ended, and keeps hooks from starting the next one at once. */
export function reportFailure(folder: string, reason: string): void {
  const now = new Date();
  const known = readStatus(folder) ?? { ...nothingYet, startedAt: now.toISOString() };
  const { pid } = process;
  writeStatus(folder, {
    ...known,
    ...{ pid, version: consoleVersion(), state: 'ended', updatedAt: now.toISOString(), reason },
  });
  const later = new Date(now.getTime() + restMs);
  const starting = path.join(folder, startingFile);
  fs.writeFileSync(starting, '', { mode: 0o600 });
  fs.utimesSync(starting, later, later);
}

/** Says that a process is about to take the spool: until it has its lock, nothing else shows that a collector comes. */
export function promiseCollector(folder: string, pid: number | undefined): void {
  fs.writeFileSync(path.join(folder, startingFile), String(pid ?? ''), { mode: 0o600 });
}

/** So long (ms) the promise of a process is believed that lives, and that of one that is just being started. */
const promiseMs = { process: 60_000, unnamed: 1_000 };

/** Whether a collector was started that has not taken its lock yet. */
export function isPromised(folder: string): boolean {
  const file = path.join(folder, startingFile);
  try {
    const age = Date.now() - fs.statSync(file).mtimeMs;
    const pid = readNumber(readTextFile(file));
    // A time to come: one could not begin, and none is started until then.
    if (age < -1_000 || age > promiseMs[pid > 0 ? 'process' : 'unnamed']) return false;
    return pid > 0 ? process.kill(pid, 0) : true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** What a collector has said; undefined: nothing yet. @param pid undefined: the last one, whichever that was */
export function statusOf(folder: string, pid: number | undefined): CollectorStatus | undefined {
  const status = readStatus(folder);
  return pid === undefined || status?.pid === pid ? status : undefined;
}

/** Who collects from a spool now; undefined when nobody does. */
export function collectorOf(folder: string): LockHolder | undefined {
  const file = path.join(folder, collectorLock);
  const holder = readLock(file);
  return holder !== undefined && isHeld(file, holder) ? holder : undefined;
}

/**
 * A collector that has given no sign for so long (ms), although its process lives: it hangs, or is stopped, and nothing is written
 * meanwhile. Undefined: it has given one lately, or there is none.
 */
export function silenceOf(folder: string): { ms: number; pid: number; fix: string } | undefined {
  const holder = collectorOf(folder);
  // Of another machine, or damaged: its process is none of these here, and 0 would be all of a group.
  if (holder === undefined || isAlive(holder) !== true) return undefined;
  const { pid } = holder;
  const file = path.join(folder, collectorLock);
  const touchedMs = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (touchedMs === undefined) return undefined;
  const ms = Date.now() - touchedMs;
  // On a machine that has just woken it is silent until it gives its next sign.
  const fix = `It is stopped, or hangs: kill -CONT ${pid}; where it stays silent, kill -9 ${pid}, and the next event starts another`;
  return ms > lockFreshMs ? { ms, pid, fix } : undefined;
}

/** A collector that was asked to end finishes what it writes. */
const endPatienceMs = 20_000;

/**
 * Ends the collector of a spool where it writes to an embedded database: else it would start that anew.
 *
 * @param socketFolder of the embedded database; asked when the collector says where it writes, for it may start the database
 * @returns its process; undefined: none of this machine writes there
 * @throws ConsoleError `busy` when it does not end
 */
export async function endCollectorOf(
  folder: string,
  socketFolder: () => string | undefined,
): Promise<number | undefined> {
  const deadline = performance.now() + endPatienceMs;
  while (collectorOf(folder) === undefined && isPromised(folder)) {
    if (performance.now() > deadline) return undefined;
    await sleep(25);
  }
  const holder = collectorOf(folder);
  if (holder === undefined || isAlive(holder) !== true) return undefined;
  const status = () => readStatus(folder);
  // One that has just begun has not said yet where it writes.
  while (status()?.pid !== holder.pid && performance.now() < deadline) await sleep(25);
  const socket = socketFolder();
  if (socket === undefined || !isInto(status()?.target ?? '', socket)) return undefined;
  try {
    process.kill(holder.pid, 'SIGTERM');
  } catch {
    // It has ended meanwhile.
  }
  while (isAlive(holder) === true) {
    if (performance.now() > deadline) {
      throw new ConsoleError(
        'busy',
        `The collector (process ${holder.pid}) writes to this database and does not end.`,
        { hint: `End it first: kill ${holder.pid}` },
      );
    }
    await sleep(25);
  }
  return holder.pid;
}

/** What is read of it: a file that a crash has damaged, or of another version, is none. */
function isStatus(written: unknown): written is CollectorStatus {
  if (typeof written !== 'object' || written === null) return false;
  const { pid, target, state, offsets, lastEvents } = written as Partial<CollectorStatus>;
  const isTable = (value: unknown) => typeof value === 'object' && value !== null;
  const texts = [target, state];
  return (
    typeof pid === 'number' &&
    texts.every((text) => typeof text === 'string') &&
    isTable(offsets) &&
    isTable(lastEvents)
  );
}

/** Undefined where no collector has run yet. */
export function readStatus(folder: string): CollectorStatus | undefined {
  try {
    const written: unknown = JSON.parse(readTextFile(path.join(folder, fileName)));
    return isStatus(written) ? written : undefined;
  } catch {
    return undefined;
  }
}

/** What is in a spool and not in the database yet, as the collector said last. */
export type Waiting = { events: number; bytes: number; dropped: number };

export type SpoolReport = {
  waiting: Waiting;
  /** When the newest event of each CLI came, whether it is written or waits. */
  lastEvents: Map<string, Date>;
};

/** The newest event of each source that a collector has written. */
export function knownEvents(status: CollectorStatus | undefined): Record<string, string> {
  const known: Record<string, string> = {};
  for (const [cli, at] of Object.entries(status?.lastEvents ?? {})) noteEvent(known, cli, at);
  return known;
}

export function reportOf(folder: string): SpoolReport {
  const status = readStatus(folder);
  const offsets = new Map(Object.entries(status?.offsets ?? {}));
  const { records } = readSpool(folder, offsets, Infinity);
  const lastEvents = knownEvents(status);
  for (const record of records)
    noteEvent(lastEvents, record.cli, new Date(atMsOf(record)).toISOString());
  const last = new Map(Object.entries(lastEvents).map(([cli, at]) => [cli, new Date(at)]));
  const { bytes, dropped } = backlogOf(folder, offsets);
  return { waiting: { events: records.length, bytes, dropped }, lastEvents: last };
}
