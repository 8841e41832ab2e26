import { ConsoleError, exitCodes } from '../../db/errors.js';
import { openDatabase, openEmbeddedDatabase } from '../../db/open.js';
import { applySchema, planApply } from '../../deploy/apply.js';
import { describePlan, isUnasked, placeOf } from '../../deploy/describe-plan.js';
import { copyRows } from '../../maintenance/embedded/move-to-server.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';

export const embeddedImportTo = defineCommand({
  name: 'embedded import-to',
  summary: 'copy the embedded database to a server',
  usage: 'URL [--yes]',
  inputs: 1,
  description: [
    'Applies the schema there, copies every row, archives too, and compares the counts; the copy is',
    'kept only when all are equal. The tables there must be empty. The embedded database stays as',
    'it is; its other clients wait meanwhile.',
  ].join('\n'),
  flags: { yes: { type: 'boolean', description: 'do not ask' } },
  examples: ['trace-console embedded import-to postgresql://me@host/traces'],
  async run({ flags, input, print, note, interactive, ask }) {
    const url = input[0] ?? flags.url;
    if (url === undefined) throw new ConsoleError('usage', 'embedded import-to needs a URL.');
    const { dataDir, schema, readOnly } = flags;
    if (readOnly)
      throw new ConsoleError('read_only', 'import-to changes the server; --read-only forbids it.');
    const source = await openEmbeddedDatabase({ dataDir, onProgress: note });
    const target = await openDatabase({ url, schema }).catch(async (error: unknown) => {
      await source.close();
      throw error;
    });
    try {
      const plan = await planApply(target);
      for (const line of describePlan(plan, target, false)) note(line);
      if (!flags.yes && !isUnasked(plan, target, false)) {
        if (!interactive || flags.json) {
          throw new ConsoleError(
            'confirmation_needed',
            `Nothing was changed in ${placeOf(target)}.`,
            {
              hint: 'To copy there: trace-console embedded import-to URL --yes',
            },
          );
        }
        const answer = await ask(`Copy to ${placeOf(target)}? Type "yes": `);
        if (answer.trim().toLowerCase() !== 'yes') return exitCodes.refused;
      }
      await applySchema(target, { onProgress: ({ name, outcome }) => note(`${name}: ${outcome}`) });
      const tables = await copyRows(source, target);
      if (flags.json) print(JSON.stringify({ ok: true, tables }, null, 2));
      else
        print(
          plainTable(
            ['Table', 'Rows'],
            tables.map(({ table, rows }) => [table, rows]),
            [1],
          ),
        );
      return exitCodes.good;
    } finally {
      await Promise.all([source.close(), target.close()]);
    }
  },
});
