import { exitCodes } from '../../db/errors.js';
import { configurableCommands, Keymap, keysText } from '../../ui/keymap.js';
import { scopes } from '../../ui/views/registry.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';

export const command = defineCommand({
  name: 'keys',
  summary: "list the console's actions with their keys, for the config file",
  description: [
    'The keys as they are now, with those of the config file: [keys], action = "key" or a list of keys.',
    'Enter and Esc keep what they mean everywhere.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console keys --json'],
  async run({ flags, settings, print }) {
    const all = new Keymap(scopes, settings.keys);
    const configurable = configurableCommands(scopes);
    const rows = all.bindings
      .filter(({ id }) => configurable.includes(id))
      .map((command) => ({
        action: command.id,
        keys: command.keys,
        written: keysText(command),
        where: all.scopes
          .filter((scope) => scope.commands.includes(command))
          .map(({ title }) => title),
        does: all.inText(command.title),
      }));
    if (flags.json) {
      const list = rows.map(({ action, keys, where, does }) => ({ action, keys, where, does }));
      print(JSON.stringify(list, null, 2));
    } else {
      print(
        plainTable(
          ['action', 'keys', 'where', 'what it does'],
          rows.map(({ action, written, where, does }) => [
            action,
            written,
            where.length > 3 ? `${where[0] ?? ''}, and ${where.length - 1} more` : where.join('; '),
            does,
          ]),
        ),
      );
    }
    return Promise.resolve(exitCodes.good);
  },
});
