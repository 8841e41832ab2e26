// The daemon's program: `node embedded-daemon.js OPTIONS`, OPTIONS as JSON. It says on standard
// output in one line of JSON what became of it, then goes on without a terminal.
import fs from 'node:fs';
import { ConsoleError } from '../../db/errors.js';
import { FolderLock } from '../../core/folder-lock.js';
import {
  chooseSocketFolder,
  inFolder,
  ensurePrivateFolder,
  folderFailure,
} from '../folder/paths.js';
import { Reserve, withReserve } from '../folder/reserve.js';
import { LogFile } from '../../core/log-file.js';
import { Daemon } from './daemon.js';
import { locatePrograms, type Announcement, type DaemonArguments } from './programs.js';

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
  const reserve = new Reserve(dataFolder);
  let lock: FolderLock | undefined;
  try {
    lock = withReserve(reserve, () => FolderLock.acquire(dataFolder, socketFolder));
  } catch (cause) {
    throw folderFailure(dataFolder, cause);
  }
  if (lock === undefined) {
    announce({ kind: 'held' });
    process.exit(0);
  }
  const logFile = new LogFile(inFolder.log(dataFolder));
  const daemon = new Daemon({
    dataFolder,
    socketFolder,
    lock,
    reserve,
    log: (message, level = 'info') => logFile.write(level, message),
    programs: locatePrograms(),
    idleExitMs,
    ...(limits === undefined ? {} : { limits }),
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => void daemon.stop(signal));
  }
  process.on('uncaughtException', (error) => {
    logFile.write('error', `uncaught: ${error.stack ?? error.message}`);
    void daemon.stop('an unexpected error');
  });
  process.on('unhandledRejection', (reason) => {
    logFile.write(
      'error',
      `unhandled: ${reason instanceof Error ? (reason.stack ?? '') : String(reason)}`,
    );
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
