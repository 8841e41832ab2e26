import fs from 'node:fs';
import { ConsoleError } from '../../errors.js';

/**
 * Creates a folder that only its owner can enter, or checks that an existing one is.
 * A link, another owner or access for others is refused: it could be somebody else's trap.
 */
export function ensurePrivateFolder(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = fs.lstatSync(folder);
  const uid = process.getuid?.() ?? stat.uid;
  const problem = !stat.isDirectory()
    ? 'is no folder'
    : stat.uid !== uid
      ? `belongs to another user (uid ${stat.uid})`
      : (stat.mode & 0o077) !== 0
        ? `can be entered by others (mode ${(stat.mode & 0o777).toString(8)})`
        : undefined;
  if (problem === undefined) return;
  throw new ConsoleError('embedded_unavailable', `The folder ${folder} ${problem}.`, {
    hint: `Make it yours alone (chmod 700 ${folder}), or choose another with --data-dir.`,
  });
}
