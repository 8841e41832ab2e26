import { withSeparators } from '../../shared/format/number.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { planReset, resetSchema } from '../../deploy/reset.js';
import { defineCommand } from '../command.js';
import { safeText } from '../safe-text.js';
import { placeOf } from '../../deploy/describe-plan.js';

export const schemaReset = defineCommand({
  name: 'schema reset',
  summary: 'drop the tables, views and functions of the schema',
  usage: '[--yes] [--dry-run] [--archives]',
  description: [
    'Drops what is ours with all its rows, in one transaction; extensions and roles stay, archives',
    'unless --archives is given. On a terminal it asks for the name of the database; without one it',
    'needs --yes.',
  ].join('\n'),
  flags: {
    yes: { type: 'boolean', description: 'do not ask' },
    dryRun: { type: 'boolean', description: 'show what would be dropped, and change nothing' },
    archives: { type: 'boolean', description: 'drop the archived traces, too' },
  },
  async run({ flags, openDatabase, print, note, interactive, ask }) {
    const database = await openDatabase();
    const options = { archives: flags.archives };
    const plan = await planReset(database, options);
    const count = plan.tables.length + plan.views.length + plan.functions.length;
    if (!flags.json) {
      print(safeText(`Target: ${placeOf(database)}`));
      for (const { name, estimatedRows } of plan.tables) {
        print(`  table ${name}, about ${withSeparators(estimatedRows)} rows`);
      }
      for (const name of plan.views) print(`  view ${name}`);
      for (const name of plan.functions) print(`  function ${name}`);
      for (const name of plan.keptArchives) print(`  kept: ${name}`);
    }
    if (flags.dryRun || count === 0) {
      if (flags.json) print(JSON.stringify({ ok: true, dryRun: flags.dryRun, ...plan }, null, 2));
      else if (count === 0) print('Nothing to drop.');
      return exitCodes.good;
    }
    if (!flags.yes) {
      if (!interactive || flags.json) {
        throw new ConsoleError('confirmation_needed', 'Nothing was dropped.', {
          hint: 'To drop what is listed: trace-console schema reset --yes',
        });
      }
      const name = database.capabilities.database;
      const answer = await ask(
        safeText(`All rows will be lost. Type the database's name, ${name}: `),
      );
      if (answer.trim() !== name) {
        note('Cancelled; nothing was dropped.');
        return exitCodes.refused;
      }
    }
    const dropped = await resetSchema(database, options);
    if (flags.json) print(JSON.stringify({ ok: true, ...dropped }, null, 2));
    else print(`Dropped ${count} objects.`);
    return exitCodes.good;
  },
});
