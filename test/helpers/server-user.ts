import { chownSync, readFileSync } from 'node:fs';

/** Spawn options that start a program as an unprivileged user. */
export type ServerUser = { uid?: number; gid?: number };

/** PostgreSQL and pgbouncer refuse to run as root: then they run as `postgres`, where it exists, or `nobody`. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user =
    users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!user)
    throw new Error('PostgreSQL cannot run as root, and there is no user postgres or nobody');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Gives a file or folder to the user that the server runs as. */
export function giveToServer(path: string, user: ServerUser = serverUser()): void {
  if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
}
