import { exitCodes } from '../../db/errors.js';
import { keysText } from '../../ui/draw/help.js';
import { actionName } from '../../ui/keys/action-name.js';
import { configurableActions } from '../../ui/keys/configured-keys.js';
import { Keys } from '../../ui/keys/keys.js';
import { placeNames } from '../../ui/keys/place-name.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';

export const keys = defineCommand({
  name: 'keys',
  summary: "list the console's actions with their keys, for the config file",
  description: [
    'The keys as they are now, with those of the config file: [keys], action = "key" or a list of keys.',
    'Enter and Esc keep what they mean everywhere.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console keys --json'],
  async run({ flags, settings, print }) {
    const all = new Keys(settings.keys);
    const bindings = all.bindings.filter(({ command }) => configurableActions.includes(command));
    const rows = bindings.map((binding) => ({
      action: actionName(binding.command),
      keys: binding.keys,
      written: keysText(binding),
      where: binding.scopes.map((scope) => placeNames[scope]),
      does: all.inText(binding.text),
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
