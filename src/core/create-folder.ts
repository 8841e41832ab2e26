import fs from 'node:fs';

/**
 * Creates a folder and those above it, private to their owner unless told otherwise. Node's `recursive` does not: under /proc,
 * where nothing can be created and mkdir says ENOENT, it tries for ever. Loads nothing else: an agent waits for the hook.
 *
 * @param folder absolute
 * @throws the error of the file system for the first folder that cannot be created
 */
export function createFolder(folder: string, mode = 0o700): void {
  try {
    fs.mkdirSync(folder, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It is there, or another process was faster.
    if (code === 'EEXIST') return;
    const above = folder.replace(/[\\/]+[^\\/]*[\\/]*$/, '');
    if (code !== 'ENOENT' || above === '' || above === folder || fs.existsSync(above)) throw error;
    createFolder(above, mode);
    createFolder(folder, mode);
  }
}
