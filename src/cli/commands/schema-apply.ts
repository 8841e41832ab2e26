import { ConsoleError, exitCodes } from '../../db/errors.js';
import { applySchema, planApply, type ApplyStep } from '../../deploy/apply.js';
import { buildIndexes } from '../../deploy/build-indexes.js';
import { checkPrerequisites } from '../../deploy/prerequisites.js';
import { defineCommand } from '../command.js';
import { safeJson, safeText } from '../safe-text.js';
import { describePlan, isUnasked, placeOf } from '../../deploy/describe-plan.js';

export const schemaApply = defineCommand({
  name: 'schema apply',
  summary: 'create what is missing of the schema, or show what would be created',
  usage: '[--yes] [--dry-run] [--rls]',
  description: [
    'On an empty schema it runs at once. Anywhere else it shows host, database, schema and what it',
    'would create, and asks; without a terminal it needs --yes. A database without our tables gets',
    'all files in one transaction: all or nothing. On a deployed one what is missing is created',
    'around what is there; indexes are built CONCURRENTLY.',
  ].join('\n'),
  flags: {
    yes: { type: 'boolean', description: 'do not ask' },
    dryRun: { type: 'boolean', description: 'show what would be created, and change nothing' },
    rls: {
      type: 'boolean',
      description: "create Supabase's roles where missing and switch row-level security on",
    },
  },
  examples: ['trace-console schema apply --dry-run', 'trace-console schema apply --yes --json'],
  async run({ flags, openDatabase, print, note, interactive, ask }) {
    const database = await openDatabase();
    const plan = await planApply(database);
    const say = flags.json ? () => undefined : print;

    if (plan.kind === 'incompatible' && !flags.dryRun) {
      // Refused with its reasons by the apply itself, before it changes anything.
      await applySchema(database);
    }
    for (const line of describePlan(plan, database, flags.rls)) say(safeText(line));
    if (flags.dryRun) {
      const refused = plan.kind === 'incompatible';
      if (flags.json) print(safeJson({ ok: !refused, dryRun: true, plan }, 2));
      return refused ? exitCodes.refused : exitCodes.good;
    }
    if (plan.kind === 'complete' && !flags.rls) {
      if (flags.json) print(safeJson({ ok: true, kind: plan.kind, applied: [], failed: [] }, 2));
      else print(safeText(`Nothing to do: the schema is there (${placeOf(database)}).`));
      return exitCodes.good;
    }
    checkPrerequisites(database);
    if (!isUnasked(plan, database, flags.rls) && !flags.yes) {
      if (!interactive || flags.json) {
        throw new ConsoleError(
          'confirmation_needed',
          `Nothing was changed in ${placeOf(database)}.`,
          {
            hint: 'To create what is listed above: trace-console schema apply --yes',
          },
        );
      }
      const answer = await ask(safeText(`Create this in ${placeOf(database)}? Type "yes": `));
      if (answer.trim().toLowerCase() !== 'yes') {
        note('Cancelled; nothing was changed.');
        return exitCodes.refused;
      }
    }

    const onProgress = ({ index, total, name, outcome }: ApplyStep) => {
      const place = `[${String(index).padStart(String(total).length)}/${total}]`;
      note(safeText(`${place} ${name}: ${outcome}`));
    };
    const result = await applySchema(database, { rls: flags.rls, onProgress });
    const built = await buildIndexes(database, result.plan.addIndexes, onProgress);
    const applied = [...result.applied, ...built.applied];
    const failed = [...result.failed, ...built.failed];
    if (flags.json) {
      print(safeJson({ ok: failed.length === 0, kind: result.plan.kind, applied, failed }, 2));
    } else if (applied.length === 0 && failed.length === 0) {
      print(safeText(`Nothing to do: the schema is there (${placeOf(database)}).`));
    } else {
      print(`Created: ${applied.length === 0 ? 'nothing' : applied.join(', ')}.`);
      for (const { name, reason } of failed) print(safeText(`Not created: ${name}: ${reason}`));
    }
    return failed.length === 0 ? exitCodes.good : exitCodes.notGood;
  },
});
