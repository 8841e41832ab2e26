import { archivedTables, archiveOf, coreTables } from '../core/tables.js';
import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';
import {
  type Catalogue,
  type Index,
  manifest,
  type Policy,
  readCatalogue,
  type Table,
} from './catalogue.js';
import {
  earlierSignatures,
  columnsWithoutIndex,
  isEarlierView,
  judgeTables,
  sameColumn,
} from './judge.js';
import { readMaterialized } from './materialized.js';
import { supabaseRoles } from './prerequisites.js';

// What is wrong with one object, as the rest of a sentence ("lacks column …"); undefined: nothing.

/** Of a view or function of ours; `schema apply` replaces it. */
export const earlierVersion = 'is of an earlier version';

function tableProblem(name: string, catalogue: Catalogue): string | undefined {
  const judged = judgeTables(catalogue).find(({ table }) => table === name);
  if (!judged || judged.verdict === 'missing') return 'is missing';
  if (judged.verdict === 'incompatible') return `is not ours: ${judged.reasons.join(', ')}`;
  const expected = byOwnKey(manifest.tables, name);
  const deployed = byOwnKey(catalogue.tables, name);
  const problems = [
    listed('lacks column', judged.missingColumns),
    listed('has another type or nullability in', judged.differingColumns),
    expected && deployed ? constraintProblem(expected, deployed) : undefined,
    byOwnKey(catalogue.tables, name) ? archiveColumnProblem(name, catalogue) : undefined,
  ];
  return joined(problems);
}

function constraintProblem(expected: Table, deployed: Table): string | undefined {
  const present = new Set(deployed.constraints.map(normalised));
  const missing = expected.constraints.filter((definition) => !present.has(normalised(definition)));
  return listed('lacks constraint', missing);
}

/** A column that only one side has would be lost, or stop the archive. */
function archiveColumnProblem(name: string, catalogue: Catalogue): string | undefined {
  const archived = archivedTables.find((table) => table === name);
  const archive = archived ? byOwnKey(catalogue.tables, archiveOf(archived)) : undefined;
  if (!archive) return undefined;
  const live = byOwnKey(catalogue.tables, name)?.columns ?? {};
  return listed(
    'has, unlike its archive, column',
    Object.keys(live).filter((column) => !byOwnKey(archive.columns, column)),
  );
}

/** @param what of a column is compared */
function columnProblems<Column>(
  expected: { columns: Readonly<Record<string, Column>> },
  deployed: { columns: Readonly<Record<string, Column>> },
  what: string,
  isSame: (expected: Column, deployed: Column) => boolean,
): (string | undefined)[] {
  const differs = (column: string) => {
    const [one, other] = [byOwnKey(expected.columns, column), byOwnKey(deployed.columns, column)];
    return one !== undefined && other !== undefined && !isSame(one, other);
  };
  const columns = Object.keys(expected.columns);
  return [
    listed(
      'lacks column',
      columns.filter((column) => byOwnKey(deployed.columns, column) === undefined),
    ),
    listed(`has another ${what} in`, columns.filter(differs)),
  ];
}

/** @param protects whether Supabase's roles exist, so that the archive must have its policies */
function archiveProblem(name: string, catalogue: Catalogue, protects: boolean): string | undefined {
  const expected = byOwnKey(manifest.tables, name);
  const deployed = byOwnKey(catalogue.tables, name);
  if (!deployed || !expected) return 'is missing';
  return joined([
    ...columnProblems(expected, deployed, 'type or nullability', sameColumn),
    ...columnsWithoutIndex(name, catalogue).map((column) => `the index on ${column} is missing`),
    ...(protects ? archivePolicyProblems(name, catalogue) : []),
  ]);
}

function archivePolicyProblems(table: string, catalogue: Catalogue): (string | undefined)[] {
  return Object.entries(manifest.archivePolicies).flatMap(([name, expected]) => {
    if (!name.startsWith(`${table}.`)) return [];
    const problem = comparedPolicy(name, expected, catalogue);
    return problem === undefined ? [] : [`policy ${name.slice(table.length + 1)} ${problem}`];
  });
}

function indexProblem(
  expected: Index | undefined,
  deployed: Index | undefined,
): string | undefined {
  if (!expected) return undefined;
  if (!deployed) return 'is missing';
  if (!deployed.valid) return 'is invalid: an interrupted build left it';
  if (deployed.table !== expected.table) return `belongs to ${deployed.table}`;
  return indexKey(expected) === indexKey(deployed)
    ? undefined
    : `is another index: ${deployed.definition}`;
}

/** What an index covers: its definition without name, access method and storage parameters. */
export function indexKey({ table, definition, unique }: Index): string {
  const covered = definition
    .replace(/^.*? ON \S+ USING \w+/, '')
    .replace(/ WITH \([^)]*\)/, '')
    .replace(/("[^"]+"|\w+)\.(vector_\w+_ops)/g, '$2');
  return `${unique ? 'unique ' : ''}${table}${normalised(covered)}`;
}

export function viewProblem(name: string, catalogue: Catalogue): string | undefined {
  const expected = byOwnKey(manifest.views, name);
  const deployed = byOwnKey(catalogue.views, name);
  if (!expected) return undefined;
  if (!deployed) return 'is missing';
  if (isEarlierView(name, catalogue)) return earlierVersion;
  return joined([
    ...columnProblems(expected, deployed, 'type', (one, other) => one === other),
    deployed.securityInvoker ? undefined : 'runs with its owner’s rights: security_invoker is off',
  ]);
}

export function functionProblem(name: string, catalogue: Catalogue): string | undefined {
  const expected = byOwnKey(manifest.functions, name);
  const deployed = byOwnKey(catalogue.functions, name);
  if (earlierSignatures(name, catalogue).length > 0) return earlierVersion;
  if (!deployed) return 'is missing';
  if (deployed.result !== expected?.result) return `returns ${deployed.result}`;
  if (deployed.bodyHash !== expected.bodyHash) return 'has another body';
  return deployed.securityDefiner ? 'runs with its owner’s rights: SECURITY DEFINER' : undefined;
}

/** A function of ours with a right too many is still ours: only verify counts it. */
function functionGrantProblem(name: string, catalogue: Catalogue): string | undefined {
  return byOwnKey(catalogue.functions, name)?.public
    ? 'may be executed by every role (PUBLIC)'
    : undefined;
}

function triggerProblem(name: string, catalogue: Catalogue): string | undefined {
  const deployed = byOwnKey(catalogue.triggers, name);
  if (!deployed) return 'is missing';
  if (!deployed.enabled) return 'is disabled';
  return JSON.stringify(sortedEntries(deployed)) ===
    JSON.stringify(sortedEntries(byOwnKey(manifest.triggers, name)))
    ? undefined
    : `runs ${deployed.function}(${deployed.arguments}) at other events`;
}

function policyProblem(name: string, catalogue: Catalogue): string | undefined {
  const expected = byOwnKey(manifest.policies, name);
  if (!expected) return undefined;
  const deployed = byOwnKey(catalogue.policies, name);
  const isPrivate = privatePatterns.test(normalised(deployed?.using ?? ''));
  return name.startsWith('success_patterns.') && deployed && isPrivate
    ? comparedPolicy(name, { ...expected, using: deployed.using }, catalogue)
    : comparedPolicy(name, expected, catalogue);
}

/** What examples/sql/private-patterns.sql puts in place of "everybody reads every pattern". */
const privatePatterns =
  /^EXISTS SELECT FROM (?:\S+\.)?execution_traces t WHERE t\.correlation_id = success_patterns\.source_correlation_id$/;

function comparedPolicy(name: string, expected: Policy, catalogue: Catalogue): string | undefined {
  const deployed = byOwnKey(catalogue.policies, name);
  if (!deployed) return 'is missing';
  const table = name.slice(0, name.indexOf('.'));
  if (!byOwnKey(catalogue.tables, table)?.rowSecurity)
    return `has no effect: row-level security is off`;
  return joined([
    expected.command === deployed.command ? undefined : `is for ${deployed.command}`,
    String(expected.roles) === String(deployed.roles)
      ? undefined
      : `is to ${deployed.roles.join(', ')}`,
    normalised(expected.using ?? '') === normalised(deployed.using ?? '') &&
    normalised(expected.check ?? '') === normalised(deployed.check ?? '')
      ? undefined
      : 'has another expression',
  ]);
}

/** Servers print the same expression with more or fewer parentheses and spaces. */
function normalised(expression: string): string {
  return expression.replace(/[\s()]+/g, ' ').trim();
}

function sortedEntries(value: object | undefined): [string, unknown][] {
  return Object.entries(value ?? {}).sort(([a], [b]) => a.localeCompare(b));
}

function listed(what: string, names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `${what} ${names.join(', ')}`;
}

function joined(problems: readonly (string | undefined)[]): string | undefined {
  const known = problems.filter((problem) => problem !== undefined);
  return known.length === 0 ? undefined : known.join('; ');
}

/** One line of the table that verify prints. Counts are of expected objects that are there and as expected. */
type ComponentResult = {
  component:
    | 'tables'
    | 'archives'
    | 'indexes'
    | 'views'
    | 'functions'
    | 'triggers'
    | 'policies'
    | 'extensions'
    | 'materialized views';
  expected: number;
  deployed: number;
  status: 'ok' | 'differs' | 'skipped';
};

/** One object that is not as expected. */
export type Difference = {
  component: ComponentResult['component'];
  object: string;
  problem: string;
};

type Comparison = { ok: boolean; objects: ComponentResult[]; differences: Difference[] };

/**
 * Compares a schema with the manifest. Objects that are not ours are none of its business; nor are
 * an index's access method and storage parameters (`lists` is tuned), leftovers of interrupted
 * index builds, and names of constraints. Policies are skipped where Supabase's roles are missing.
 */
export function compareWithManifest(
  catalogue: Catalogue,
  existingRoles: readonly string[],
): Comparison {
  const hasRoles = supabaseRoles.every((role) => existingRoles.includes(role));
  const core = new Set<string>(coreTables);
  const archives = archivedTables.map(archiveOf);
  const found: [ComponentResult['component'], Record<string, string | undefined>][] = [
    [
      'tables',
      {
        ...problemsOf([...core], (name) => tableProblem(name, catalogue)),
        ...problemsOf(catalogue.lostConsoleTables, () => 'is missing'),
      },
    ],
    ['archives', problemsOf(archives, (name) => archiveProblem(name, catalogue, hasRoles))],
    [
      'indexes',
      problemsOf(Object.keys(manifest.indexes), (name) =>
        indexProblem(byOwnKey(manifest.indexes, name), byOwnKey(catalogue.indexes, name)),
      ),
    ],
    ['views', problemsOf(Object.keys(manifest.views), (name) => viewProblem(name, catalogue))],
    [
      'functions',
      problemsOf(
        Object.keys(manifest.functions),
        (name) => functionProblem(name, catalogue) ?? functionGrantProblem(name, catalogue),
      ),
    ],
    [
      'triggers',
      problemsOf(Object.keys(manifest.triggers), (name) => triggerProblem(name, catalogue)),
    ],
    [
      'policies',
      problemsOf(Object.keys(manifest.policies), (name) => policyProblem(name, catalogue)),
    ],
    [
      'extensions',
      problemsOf(manifest.extensions, (name) =>
        byOwnKey(catalogue.extensions, name) === undefined ? 'is missing' : undefined,
      ),
    ],
  ];
  const objects = found.map(([component, problems]): ComponentResult => {
    const expected = Object.keys(problems).length;
    const deployed = Object.values(problems).filter((problem) => problem === undefined).length;
    const skipped = component === 'policies' && !hasRoles;
    const status = skipped ? 'skipped' : deployed === expected ? 'ok' : 'differs';
    return { component, expected, deployed, status };
  });
  const skipped = new Set(
    objects.filter(({ status }) => status === 'skipped').map((o) => o.component),
  );
  const differences = found.flatMap(([component, problems]) =>
    skipped.has(component)
      ? []
      : Object.entries(problems).flatMap(([object, problem]) =>
          problem === undefined ? [] : [{ component, object, problem }],
        ),
  );
  return { ok: differences.length === 0, objects, differences };
}

function problemsOf(
  names: readonly string[],
  problemOf: (name: string) => string | undefined,
): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, problemOf(name)]));
}

/** Compares the deployed schema with the expected one. Reads catalogues only. */
export async function verifySchema(database: Database): Promise<Comparison> {
  const { schema, supabaseRoles } = database.capabilities;
  const { catalogue, copies } = await database.transaction(
    { readOnly: true, isolation: 'REPEATABLE READ', lockTimeoutMs: 3_000 },
    async (tx) => ({
      catalogue: await readCatalogue(tx, schema),
      copies: await readMaterialized(tx, schema),
    }),
  );
  const compared = compareWithManifest(catalogue, supabaseRoles);
  // Nobody must have one: they are counted where somebody has made them.
  if (copies.length === 0) return compared;
  const component = 'materialized views' as const;
  const differences = copies.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [{ component, object: `trace_console.${name}`, problem }],
  );
  const deployed = copies.length - differences.length;
  const status = differences.length === 0 ? 'ok' : 'differs';
  return {
    ok: compared.ok && differences.length === 0,
    objects: [...compared.objects, { component, expected: copies.length, deployed, status }],
    differences: [...compared.differences, ...differences],
  };
}
