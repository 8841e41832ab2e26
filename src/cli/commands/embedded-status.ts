import { exitCodes } from '../../db/errors.js';
import { embeddedStatus, resolveDataFolder, socketFolderOf } from '../../db/embedded/index.js';
import { defineCommand } from '../command.js';

export const embeddedStatusCommand = defineCommand({
  name: 'embedded status',
  summary: 'say whether the embedded database runs, and how psql connects',
  description: 'Exit code 1 when it does not run. It is started by whatever needs it.',
  flags: {},
  examples: ['trace-console embedded status --json'],
  async run({ flags, print }) {
    const folder = resolveDataFolder(flags.dataDir);
    const status = await embeddedStatus(folder);
    const host = socketFolderOf(folder);
    const connect =
      host === undefined ? undefined : `psql -h ${host} -p 5432 -U postgres -d postgres`;
    if (flags.json)
      print(JSON.stringify({ folder, running: status ?? null, psql: connect ?? null }, null, 2));
    else if (status === undefined) print(`Not running (${folder}).`);
    else {
      print(
        `Running (${folder}): process ${status.pid}, version ${status.version}, ${status.phase}.`,
      );
      print(
        `Clients: ${status.clients}. Engine restarts since ${status.startedAt}: ${status.engineRestarts}.`,
      );
      if (status.exitsAt !== undefined) print(`Ends without a client at ${status.exitsAt}.`);
      if (connect !== undefined) print(`Connect: ${connect}`);
    }
    return status === undefined ? exitCodes.notGood : exitCodes.good;
  },
});
