// A process that takes the lock of a folder whenever it is told to.
import { FolderLock } from '../../src/core/folder-lock.js';

process.on('message', () => {
  const lock = FolderLock.acquire(process.argv[2] ?? '', '');
  process.send?.(lock === undefined ? 'held' : 'taken');
});
process.send?.('ready');
