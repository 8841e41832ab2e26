import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import os from 'node:os';
import { consoleVersion } from '../../core/version.js';
import type { Database } from '../../db/database.js';
import { placeOf } from '../../deploy/plan.js';
import { ensurePrivateFolder } from '../../embedded/folder/paths.js';
import { spoolFolder, startingFile } from '../spool/append.js';
import { atMsOf } from '../spool/frame.js';
import { backlogOf, readSpool } from '../spool/reader.js';
import { collectorOf } from './collector.js';

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

/** So long (ms) hooks leave a collector alone that could not begin. */
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
type Waiting = { events: number; bytes: number; dropped: number };

type SpoolReport = {
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

/** The database of a collector. A URL may hold a password: it goes through the environment, where others do not see it. */
export type CollectorTarget =
  | { kind: 'connection'; name: string; config?: string | undefined }
  | { kind: 'folder'; dataDir: string }
  | { kind: 'url'; url: string; schema?: string | undefined };

/**
 * Starts the collector of this user's spool where none lives. It outlives this process.
 *
 * @param program the console's main program, as `process.argv[1]` names it
 */
export function ensureCollector(
  target: CollectorTarget,
  program: string,
  environment: NodeJS.ProcessEnv = process.env,
): 'running' | 'started' {
  const folder = spoolFolder(environment, os.homedir);
  ensurePrivateFolder(folder);
  if (collectorOf(folder) !== undefined) return 'running';
  const { flags, variables } = started(target);
  // Next to it a hook may do the same: the second one finds the spool taken, and ends.
  spawn(
    process.execPath,
    [...process.execArgv, fs.realpathSync(program), 'collect', '--background', ...flags],
    {
      cwd: folder,
      detached: true,
      stdio: 'ignore',
      env: { ...environment, TRACE_CONSOLE_SPOOL: folder, ...variables },
    },
  )
    .on('error', () => undefined)
    .unref();
  return 'started';
}

function started(target: CollectorTarget): { flags: string[]; variables: NodeJS.ProcessEnv } {
  switch (target.kind) {
    case 'connection':
      return {
        flags: [
          ...['--connection', target.name],
          ...(target.config === undefined ? [] : ['--config', target.config]),
        ],
        variables: {},
      };
    case 'folder':
      return { flags: ['--data-dir', target.dataDir], variables: {} };
    case 'url':
      return {
        flags: target.schema === undefined ? [] : ['--schema', target.schema],
        variables: { DATABASE_URL: target.url },
      };
  }
}

/** How a service manager starts the collector. */
type ServiceCommand = { program: string; args: readonly string[] };

/** A systemd user unit, for `~/.config/systemd/user/trace-console-collect.service`. */
export function systemdUnit({ program, args }: ServiceCommand): string {
  const words = [program, ...args].map(
    (word) => `"${word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`,
  );
  return `[Unit]
Description=trace-console: collects what agents do

[Service]
ExecStart=${words.join(' ')}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target`;
}

/** A launchd agent, for `~/Library/LaunchAgents/trace-console.collect.plist`. */
export function launchdPlist({ program, args }: ServiceCommand): string {
  const words = [program, ...args].map((word) => `    <string>${escapeXml(word)}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>trace-console.collect</string>
  <key>ProgramArguments</key>
  <array>
${words.join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
</dict>
</plist>`;
}

const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
