import { ConsoleError } from '../db/errors.js';
import { applySchema, planApply } from '../deploy/apply.js';
import { placeOf } from '../db/connection/command-flags.js';
import { describePlan, isUnasked } from '../deploy/plan.js';
import type { CommandContext, FlagDeclarations } from './command.js';
import { safeText } from './safe-text.js';

/**
 * The first run without a screen: creates the schema where that needs no question (the embedded
 * database, an empty schema), else says what is missing. A schema that is there, in whatever shape,
 * and a database that may not be changed are left as they are.
 *
 * @throws ConsoleError `confirmation_needed`, exit code 4, where asking is due.
 */
export async function ensureSchema({
  openDatabase,
  note,
}: Pick<CommandContext<FlagDeclarations>, 'openDatabase' | 'note'>): Promise<void> {
  const database = await openDatabase();
  if (database.readOnly || database.capabilities.standby) return;
  const plan = await planApply(database);
  if (plan.kind !== 'new' && !isUnasked(plan, database, false)) return;
  if (!isUnasked(plan, database, false)) {
    for (const line of describePlan(plan, database, false)) note(safeText(line));
    throw new ConsoleError(
      'confirmation_needed',
      `The schema is not there: ${placeOf(database)}.`,
      {
        hint: 'Nothing was changed. To create it: trace-console schema apply --yes',
      },
    );
  }
  const what = plan.kind === 'new' ? 'First run: creating' : 'New version: bringing forward';
  note(safeText(`${what} the schema (${placeOf(database)})`));
  await applySchema(database, {
    onProgress: ({ index, total, name, outcome }) =>
      note(`[${index}/${total}] ${name}: ${outcome}`),
  });
}
