import { exitCodes } from '../../db/errors.js';
import type { Difference } from '../../deploy/compare.js';
import { verifySchema } from '../../deploy/verify.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson, safeText } from '../safe-text.js';

export const schemaVerify = defineCommand({
  name: 'schema verify',
  summary: 'compare the deployed objects with the expected ones',
  description:
    'Reads catalogues only; SELECT on the tables is not needed. Exit code 1 when something differs.',
  flags: {},
  examples: ['trace-console schema verify', 'trace-console schema verify --json | jq .differences'],
  async run({ flags, openDatabase, print }) {
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
        [1, 2],
      ),
    );
    if (objects.some(({ status }) => status === 'skipped')) {
      print('');
      print(
        "Policies are skipped: Supabase's roles anon, authenticated and service_role are not all",
      );
      print('here. "trace-console schema apply --rls" creates them and switches policies on.');
    }
    if (!ok) {
      print('');
      print(`${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}:`);
      for (const line of differenceLines(differences)) print(safeText(line));
      print('');
      print('"trace-console schema apply" shows what it can create of them.');
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
