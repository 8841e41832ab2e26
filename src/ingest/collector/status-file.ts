import fs from 'node:fs';
import path from 'node:path';
import { consoleVersion } from '../../core/version.js';
import type { Database } from '../../db/database.js';
import { placeOf } from '../../db/place.js';
import { startingFile } from '../spool/append.js';
import { atMsOf } from '../spool/frame.js';
import { backlogOf, readSpool } from '../spool/reader.js';

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
  /** Since it started. */
  records: number;
  torn: number;
  quarantined: number;
  /** The newest event of each CLI that was written, ISO 8601; kept from one collector to the next. */
  lastEvents: Record<string, string>;
  /** How far each segment was read. */
  offsets: Record<string, number>;
};

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

/** Undefined where no collector has run yet. */
export function readStatus(folder: string): CollectorStatus | undefined {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, fileName), 'utf8')) as CollectorStatus;
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

export function reportOf(folder: string): SpoolReport {
  const status = readStatus(folder);
  const offsets = new Map(Object.entries(status?.offsets ?? {}));
  const { records } = readSpool(folder, offsets, Infinity);
  const last = new Map(
    Object.entries(status?.lastEvents ?? {}).map(([cli, at]) => [cli, new Date(at)]),
  );
  for (const record of records) {
    const at = new Date(atMsOf(record));
    if (at > (last.get(record.cli) ?? new Date(0))) last.set(record.cli, at);
  }
  const { bytes, dropped } = backlogOf(folder, offsets);
  return { waiting: { events: records.length, bytes, dropped }, lastEvents: last };
}
