import { resolveDataFolder, stopEmbedded } from '../../db/embedded/index.js';
import { exitCodes } from '../../db/errors.js';
import { defineCommand } from '../command.js';

export const embeddedStop = defineCommand({
  name: 'embedded stop',
  summary: 'stop the embedded database; its data stays',
  description: 'Consoles that use it lose their connection and start it again when they ask next.',
  flags: {},
  async run({ flags, print }) {
    const folder = resolveDataFolder(flags.dataDir);
    const stopped = await stopEmbedded(folder);
    if (flags.json) print(JSON.stringify({ folder, stopped }, null, 2));
    else print(stopped ? `Stopped (${folder}).` : `It was not running (${folder}).`);
    return exitCodes.good;
  },
});
