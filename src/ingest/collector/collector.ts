import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { readTextFile } from '../../core/folders.js';
import { consoleVersion } from '../../core/version.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { keepSizes } from '../../deploy/kept-sizes.js';
import { FolderLock } from '../../core/folder-lock.js';
import { ensurePrivateFolder, folderFailure } from '../../embedded/index.js';
import { collectorLock, forSpool, lockFreshMs, spoolLimit } from '../spool/append.js';
import { keptShare } from '../spool/reader.js';
import { atMsOf, type SpoolRecord } from '../spool/frame.js';
import { BatchSize, type Drained, type RecordWriter, type Spool, SpoolDrain } from './drain.js';
import {
  collectorOf,
  type CollectorStatus,
  knownEvents,
  noteEvent,
  promiseCollector,
  readStatus,
  type Refused,
  writeStatus,
  ownSpool,
} from './status-file.js';

/** How often (ms) the spool is looked at: while events come, and when none has come for a while. */
const pollMs = { busy: 50, idle: 200 };
const idleAfterMs = 10_000;

/** How long (ms) is waited after a refusal of the database: at first, at last. */
const retryMs = { first: 250, last: 5_000 };

const statusEveryMs = 1_000;
const tidyEveryMs = 30_000;
/** Segments that were read make room for what comes. */
const makeRoomEveryMs = 500;
const sizesEveryMs = 3_600_000;
const touchEveryMs = lockFreshMs / 6;

export type CollectorOptions = {
  database: Database;
  folder: string;
  write: RecordWriter;
  /** The database in words. */
  target: string;
  /** Where it takes telemetry, for its status. */
  listen?: CollectorStatus['listen'];
  /** What its receiver has not taken; it counts on. */
  refused?: Refused;
  /** Ends by itself after so long (ms) without an event. */
  idleExitMs?: number | undefined;
  signal: AbortSignal;
  onProgress?: ((status: CollectorStatus) => void) | undefined;
  /** Called in every round with the records that were written, to follow other sources. True: it has written rows. */
  follow?: ((records: readonly SpoolRecord[]) => Promise<boolean>) | undefined;
  /** Called every half minute, and at the end: closes turns of which nothing is heard any more. */
  closeStale?: (() => Promise<void>) | undefined;
};

/**
 * The process that brings a spool's events into a database: one a spool, which others on other machines may share the
 * database with. A database that is away is waited for; meanwhile the spool keeps what comes, up to its limit.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #drain: SpoolDrain;
  readonly #batch: BatchSize;
  readonly #lock: FolderLock;
  readonly #status: CollectorStatus;
  #lastEventMs = Date.now();
  #statusWrittenMs = 0;
  #tidiedMs = 0;
  #madeRoomMs = 0;
  #sizedMs = 0;

  private constructor(options: CollectorOptions, lock: FolderLock, spool: Spool) {
    this.#options = options;
    this.#lock = lock;
    this.#drain = new SpoolDrain(options.database, spool, options.write);
    this.#batch = new BatchSize(options.database.capabilities);
    const now = new Date().toISOString();
    this.#status = {
      pid: process.pid,
      version: consoleVersion(),
      target: options.target,
      startedAt: now,
      updatedAt: now,
      state: 'following',
      ...(options.listen === undefined ? {} : { listen: options.listen }),
      ...(options.refused === undefined ? {} : { refused: options.refused }),
      records: 0,
      torn: 0,
      quarantined: 0,
      lastEvents: knownEvents(readStatus(spool.folder)),
      offsets: {},
    };
  }

  /**
   * Takes the spool; undefined when another process collects from it.
   *
   * @throws ConsoleError
   */
  static open(options: CollectorOptions): Collector | undefined {
    const { folder } = options;
    ensurePrivateFolder(folder, forSpool);
    let lock: FolderLock | undefined;
    try {
      lock = FolderLock.acquire(folder, '', collectorLock);
    } catch (cause) {
      throw folderFailure(folder, cause, forSpool);
    }
    if (lock === undefined) return undefined;
    const keptBytes = spoolLimit(process.env) / keptShare;
    const id = spoolId(folder);
    return new Collector(options, lock, { folder, id, host: os.hostname(), keptBytes });
  }

  /**
   * Writes what is in the spool now, and ends.
   *
   * @throws ConsoleError when the database does not take it; the spool keeps it
   */
  async once(): Promise<CollectorStatus> {
    try {
      for (;;) {
        const drained = await this.#round();
        if (drained === 0 || this.#options.signal.aborted) break;
      }
      await this.#tidy();
      this.#status.quarantined = await this.#drain.countQuarantined();
      return this.#end();
    } finally {
      this.#lock.release();
    }
  }

  /** Follows the spool until the signal, or until nothing has come for long. */
  async follow(): Promise<CollectorStatus> {
    let wait = retryMs.first;
    // Hooks take a lock that was not touched for longer for one of before a reboot, or of a process that hangs.
    const touching = setInterval(() => this.#lock.touch(), touchEveryMs);
    try {
      while (!this.#isOver()) {
        try {
          const written = await this.#round();
          wait = retryMs.first;
          this.#report('following');
          await this.#tidyAtTimes();
          if (written === 0) await this.#pause(this.#isBusy() ? pollMs.busy : pollMs.idle);
        } catch (error) {
          // After an upgrade a part of this version is gone for good: a hook starts the new one.
          if (isMissingPart(error)) throw error;
          this.#report('waiting', reasonOf(error));
          await this.#pause(wait);
          wait = Math.min(wait * 2, retryMs.last);
        }
      }
      // Where it cannot, the next collector does it.
      if (!this.#options.signal.aborted) await this.#tidy().catch(() => undefined);
      return this.#end();
    } finally {
      clearInterval(touching);
      this.#lock.release();
    }
  }

  #isOver(): boolean {
    const { signal, idleExitMs = Infinity } = this.#options;
    return signal.aborted || !this.#lock.isOurs || Date.now() - this.#lastEventMs > idleExitMs;
  }

  #isBusy(): boolean {
    return Date.now() - this.#lastEventMs < idleAfterMs;
  }

  /** @returns how much was written */
  async #round(): Promise<number> {
    const { follow } = this.#options;
    const drained = await this.#drain.next(this.#batch.now);
    this.#batch.took(drained.records.length);
    this.#count(drained);
    const followed = (await follow?.(drained.records)) ?? false;
    if (drained.records.length > 0 || followed) this.#lastEventMs = Date.now();
    return drained.records.length + drained.torn + (followed ? 1 : 0);
  }

  #count({ records, torn, quarantined, asideReason }: Drained): void {
    const status = this.#status;
    status.records += records.length;
    status.torn += torn;
    status.quarantined = Math.max(0, status.quarantined + quarantined);
    if (asideReason !== undefined) status.asideReason = asideReason;
    else if (status.quarantined === 0) delete status.asideReason;
    for (const record of records) {
      noteEvent(status.lastEvents, record.cli, new Date(atMsOf(record)).toISOString());
    }
  }

  async #tidyAtTimes(): Promise<void> {
    if (Date.now() - this.#tidiedMs >= tidyEveryMs) {
      await this.#tidy();
      return;
    }
    if (!this.#drain.hasReadLately || Date.now() - this.#madeRoomMs < makeRoomEveryMs) return;
    this.#madeRoomMs = Date.now();
    await this.#drain.tidy();
  }

  async #tidy(): Promise<void> {
    this.#tidiedMs = Date.now();
    await this.#drain.tidy();
    await this.#options.closeStale?.();
    if (Date.now() - this.#sizedMs < sizesEveryMs) return;
    this.#sizedMs = Date.now();
    // Sizes that cannot be measured now, as behind a lock, must not stop the collector.
    await keepSizes(this.#options.database).catch(() => false);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#options.signal }).catch(() => undefined);
  }

  #report(state: CollectorStatus['state'], reason?: string): void {
    const status = this.#status;
    const isNew = status.state !== state;
    if (!isNew && Date.now() - this.#statusWrittenMs < statusEveryMs) return;
    status.state = state;
    status.updatedAt = new Date().toISOString();
    if (this.#drain.offsets.size > 0) status.offsets = Object.fromEntries(this.#drain.offsets);
    if (reason === undefined) delete status.reason;
    else status.reason = reason;
    this.#statusWrittenMs = Date.now();
    try {
      writeStatus(this.#options.folder, status);
    } catch {
      // A status file that cannot be written, as on a full disk, must not stop the collector.
    }
    this.#options.onProgress?.(status);
  }

  #end(): CollectorStatus {
    this.#statusWrittenMs = 0;
    this.#report('ended');
    return this.#status;
  }
}

/** Whether a file of the program itself is not there. */
const isMissingPart = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND');

function reasonOf(error: unknown): string {
  if (!(error instanceof ConsoleError))
    return error instanceof Error ? error.message : String(error);
  // It waits for somebody, who must know what to do: the database was dropped and made anew, as an example.
  return error.code === 'schema_missing' && error.hint !== undefined
    ? `${error.message} ${error.hint}`
    : error.message;
}

/** The id of a spool: in a file of its own, made by the first collector. */
function spoolId(folder: string): string {
  const file = path.join(folder, 'spool-id');
  try {
    fs.writeFileSync(file, randomUUID(), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const id = readTextFile(file).trim();
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw new ConsoleError('file_failed', `${file} does not hold the id of a spool.`, {
    hint: 'Remove the file: events that were read already are written again, to the same rows.',
  });
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
  const folder = ownSpool(environment);
  ensurePrivateFolder(folder, forSpool);
  if (collectorOf(folder) !== undefined) return 'running';
  const { flags, variables } = started(target);
  // A hook may start one at the same time: the second collector finds the spool taken, and ends.
  const collector = spawn(
    process.execPath,
    [...process.execArgv, fs.realpathSync(program), 'collect', '--background', ...flags],
    {
      cwd: folder,
      detached: true,
      stdio: 'ignore',
      env: { ...environment, TRACE_CONSOLE_SPOOL: folder, ...variables },
    },
  );
  collector.on('error', () => undefined).unref();
  promiseCollector(folder, collector.pid);
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
export type ServiceCommand = { program: string; args: readonly string[] };

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
