// The daemon's program: `node embedded-daemon.js OPTIONS`, OPTIONS as JSON. It says on standard
// output in one line of JSON what became of it, then goes on without a terminal.
import fs from 'node:fs';
import { ConsoleError } from '../../errors.js';
import { FolderLock } from '../folder/folder-lock.js';
import { chooseSocketFolder, inFolder } from '../folder/paths.js';
import { ensurePrivateFolder } from '../folder/private-folder.js';
import type { Limits } from '../mux/limits.js';
import { Daemon } from './daemon.js';
import { LogFile } from './log-file.js';
import { locatePrograms } from './programs.js';

export type DaemonArguments = { dataFolder: string; idleExitMs: number; limits?: Partial<Limits> };

/** What the daemon says on standard output when it has started, or will not. */
export type Announcement =
  | { kind: 'listening' }
  /** Another daemon has the folder. */
  | { kind: 'held' }
  | { kind: 'failed'; message: string; hint?: string };

function announce(announcement: Announcement): void {
  try {
    fs.writeSync(1, `${JSON.stringify(announcement)}\n`);
  } catch {
    // Nobody waits for it any more.
  }
}

async function main(): Promise<void> {
  const { dataFolder, idleExitMs, limits } = JSON.parse(process.argv[2] ?? '{}') as DaemonArguments;
  ensurePrivateFolder(dataFolder);
  const socketFolder = chooseSocketFolder(dataFolder);
  const lock = FolderLock.acquire(dataFolder, socketFolder);
  if (lock === undefined) {
    announce({ kind: 'held' });
    process.exit(0);
  }
  const log = new LogFile(inFolder.log(dataFolder));
  const daemon = new Daemon({
    dataFolder,
    socketFolder,
    lock,
    programs: locatePrograms(),
    idleExitMs,
    ...(limits === undefined ? {} : { limits }),
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => void daemon.stop(signal));
  }
  process.on('uncaughtException', (error) => {
    log.write(`uncaught: ${error.stack ?? error.message}`);
    void daemon.stop('an unexpected error');
  });
  process.on('unhandledRejection', (reason) => {
    log.write(`unhandled: ${reason instanceof Error ? (reason.stack ?? '') : String(reason)}`);
  });
  try {
    await daemon.listen();
  } catch (error) {
    lock.release();
    throw error;
  }
  announce({ kind: 'listening' });
}

try {
  await main();
} catch (error) {
  const hint = error instanceof ConsoleError ? error.hint : undefined;
  const message = error instanceof Error ? error.message : String(error);
  announce({ kind: 'failed', message, ...(hint === undefined ? {} : { hint }) });
  process.exit(1);
}
