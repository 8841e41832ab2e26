import { ConsoleError, exitCodes } from '../../db/errors.js';
import { applySchema, planApply } from '../../deploy/apply.js';
import { buildIndexes } from '../../deploy/build-indexes.js';
import { checkPrerequisites, consoleRoles } from '../../deploy/prerequisites.js';
import { defineCommand } from '../command.js';
import { safeJson, safeText } from '../safe-text.js';
import { placeOf } from '../../db/connection/command-flags.js';
import { describePlan, isUnasked, type ApplyStep } from '../../deploy/plan.js';
import { type Difference, verifySchema } from '../../deploy/compare.js';
import { plainTable } from '../plain-table.js';
import { bundleSchema } from '../../deploy/schema-files.js';
import { counted } from '../../core/format/number.js';
import { planReset, resetSchema } from '../../deploy/reset.js';
import { isMaterializable, materializableViews } from '../../deploy/materialized.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const schemaApplyCommand = defineCommand({
  name: 'schema apply',
  summary: 'create what is missing of the schema, or show what would be created',
  usage: '[--yes] [--dry-run] [--rls] [--roles]',
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
    roles: {
      type: 'boolean',
      description: 'create roles with least rights: trace_console_reader, _writer, _maintainer',
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
    if (flags.roles)
      say(`Would create the roles ${consoleRoles.join(', ')} and grant them their rights.`);
    if (flags.dryRun) {
      const refused = plan.kind === 'incompatible';
      if (flags.json) print(safeJson({ ok: !refused, dryRun: true, plan }, 2));
      return refused ? exitCodes.refused : exitCodes.good;
    }
    if (plan.kind === 'complete' && !flags.rls && !flags.roles) {
      if (flags.json) print(safeJson({ ok: true, kind: plan.kind, applied: [], failed: [] }, 2));
      else print(safeText(`Nothing to do: the schema is there (${placeOf(database)}).`));
      return exitCodes.good;
    }
    checkPrerequisites(database);
    if (!isUnasked(plan, database, flags.rls || flags.roles) && !flags.yes) {
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
    const result = await applySchema(database, { rls: flags.rls, roles: flags.roles, onProgress });
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

export const schemaVerifyCommand = defineCommand({
  name: 'schema verify',
  summary: 'compare the deployed objects with the expected ones',
  description:
    'Reads catalogues only; SELECT on the tables is not needed. Exit code 1 when something differs.',
  flags: {},
  examples: ['trace-console schema verify', 'trace-console schema verify --json | jq .differences'],
  async run({ flags, openDatabase, print, hint }) {
    const database = await openDatabase();
    const { ok, objects, differences } = await verifySchema(database);
    if (flags.json) {
      print(safeJson({ ok, objects, differences }, 2));
      return ok ? exitCodes.good : exitCodes.notGood;
    }
    print(
      plainTable(
        ['Component', 'Expected', 'Deployed', 'Status'],
        objects.map(({ component, expected, deployed, status }) => [
          component,
          expected,
          deployed,
          status,
        ]),
        { right: [1, 2] },
      ),
    );
    if (objects.some(({ status }) => status === 'skipped')) {
      print('');
      print(
        "Policies are skipped: Supabase's roles anon, authenticated and service_role are not all",
      );
      print(
        hint('here. "trace-console schema apply --rls" creates them and switches policies on.'),
      );
    }
    if (!ok) {
      print('');
      print(`${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}:`);
      for (const line of differenceLines(differences)) print(safeText(line));
      print('');
      print(hint('"trace-console schema apply" shows what it can create of them.'));
    }
    return ok ? exitCodes.good : exitCodes.notGood;
  },
});

/** A line a difference; objects of one component with the same problem share theirs. */
function differenceLines(differences: readonly Difference[]): string[] {
  const groups = new Map<string, Difference[]>();
  for (const difference of differences) {
    const key = `${difference.component} ${difference.problem}`;
    groups.set(key, [...(groups.get(key) ?? []), difference]);
  }
  return [...groups.values()].map((group) => {
    const names = group.map(({ object }) => object.replace(/\(.*$/, '()')).join(', ');
    const [{ component, problem } = { component: '', problem: '' }] = group;
    return group.length === 1
      ? `  ${component}: ${names} ${problem}`
      : `  ${component}: ${group.length} ${problem.replace(/^is /, 'are ').replace(/^has /, 'have ')}: ${names}`;
  });
}

export const schemaBundleCommand = defineCommand({
  name: 'schema bundle',
  summary: 'print all schema files as one migration',
  description: 'Needs no database. The text may run again; what exists stays as it is.',
  printsFile: () => true,
  flags: {},
  examples: [
    'trace-console schema bundle > migration.sql',
    'trace-console schema bundle | psql -v ON_ERROR_STOP=1 -1 "$DATABASE_URL"',
  ],
  run({ print }) {
    print(bundleSchema().trimEnd());
    return Promise.resolve(exitCodes.good);
  },
});

export const schemaResetCommand = defineCommand({
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
    const { tables, materialized, views, functions } = plan;
    const count = [tables, materialized, views, functions].flat().length;
    if (!flags.json) {
      print(safeText(`Target: ${placeOf(database)}`));
      for (const { name, estimatedRows } of plan.tables) {
        const rows =
          estimatedRows === null
            ? 'its rows lie on workers, and are not counted here'
            : `about ${counted(estimatedRows, 'row')}`;
        print(`  table ${name}, ${rows}`);
      }
      for (const name of plan.materialized) print(`  materialized view trace_console.${name}`);
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

export const schemaMaterializeCommand = defineCommand({
  name: 'schema materialize',
  summary: 'keep the answer of a heavy view as a materialized view, and refresh it',
  usage: '[VIEW…] [--refresh | --drop] [--dry-run] [--yes] [--json]',
  description: [
    `Views: ${materializableViews.join(', ')}; without a name agent_performance, with`,
    '--refresh or --drop all that are materialized. The copy is trace_console.SCHEMA_VIEW; its column',
    'refreshed_at says of when its figures are. --refresh lets its readers go on; "maintain policy set',
    '--refresh-after" has it done by cron or pg_cron. With --json: {"done", "remaining"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    refresh: { type: 'boolean', description: 'bring them up to date' },
    drop: { type: 'boolean', description: 'take the copies away; the views stay' },
  },
  inputs: materializableViews.length,
  examples: [
    'trace-console schema materialize',
    'trace-console schema materialize --refresh --yes',
    'psql -c "SELECT * FROM trace_console.public_agent_performance"',
  ],
  run(context) {
    const { refresh, drop } = context.flags;
    if (refresh && drop) throw new ConsoleError('usage', 'Either --refresh or --drop.');
    const views = context.input.map((name) => {
      if (isMaterializable(name)) return name;
      throw new ConsoleError('usage', `"${name}" is no view that can be materialized.`, {
        hint: `Those are: ${materializableViews.join(', ')}. The others have a row a trace or pattern: ask them with LIMIT.`,
      });
    });
    const chosen = views.length === 0 ? {} : { views };
    if (refresh) return runActionCommand('refresh-views', context, chosen);
    if (drop) return runActionCommand('drop-materialized', context, chosen);
    return runActionCommand('materialize', context, {
      views: views.length === 0 ? ['agent_performance'] : views,
    });
  },
});
