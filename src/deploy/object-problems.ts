import { archiveOf, archivedTables } from '../core/tables.js';
import { type Catalogue, type Index, type Policy, type Table, manifest } from './catalogue.js';
import { judgeTables, sameColumn, earlierSignatures, isEarlierView } from './judge.js';

// What is wrong with one object, as the rest of a sentence ("lacks column …"); undefined: nothing.

/** Of a view or function of ours; `schema apply` replaces it. */
export const earlierVersion = 'is of an earlier version';

export function tableProblem(name: string, catalogue: Catalogue): string | undefined {
  const judged = judgeTables(catalogue).find(({ table }) => table === name);
  if (!judged || judged.verdict === 'missing') return 'is missing';
  if (judged.verdict === 'incompatible') return `is not ours: ${judged.reasons.join(', ')}`;
  const expected = manifest.tables[name];
  const deployed = catalogue.tables[name];
  const problems = [
    listed('lacks column', judged.missingColumns),
    listed('has another type or nullability in', judged.differingColumns),
    expected && deployed ? constraintProblem(expected, deployed) : undefined,
    catalogue.tables[name] ? archiveColumnProblem(name, catalogue) : undefined,
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
  const archive = archived ? catalogue.tables[archiveOf(archived)] : undefined;
  if (!archive) return undefined;
  const live = catalogue.tables[name]?.columns ?? {};
  return listed(
    'has, unlike its archive, column',
    Object.keys(live).filter((column) => !archive.columns[column]),
  );
}

/** @param protects whether Supabase's roles exist, so that the archive must have its policies */
export function archiveProblem(
  name: string,
  catalogue: Catalogue,
  protects: boolean,
): string | undefined {
  const expected = manifest.tables[name];
  const deployed = catalogue.tables[name];
  if (!deployed || !expected) return 'is missing';
  const entries = Object.entries(expected.columns);
  return joined([
    listed(
      'lacks column',
      entries.flatMap(([column]) => (deployed.columns[column] ? [] : [column])),
    ),
    listed(
      'has another type or nullability in',
      entries.flatMap(([column, type]) => {
        const other = deployed.columns[column];
        return other && !sameColumn(type, other) ? [column] : [];
      }),
    ),
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

export function indexProblem(
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
  const expected = manifest.views[name];
  const deployed = catalogue.views[name];
  if (!expected) return undefined;
  if (!deployed) return 'is missing';
  if (isEarlierView(name, catalogue)) return earlierVersion;
  const entries = Object.entries(expected.columns);
  return joined([
    listed(
      'lacks column',
      entries.flatMap(([column]) => (deployed.columns[column] ? [] : [column])),
    ),
    listed(
      'has another type in',
      entries.flatMap(([column, type]) =>
        deployed.columns[column] && deployed.columns[column] !== type ? [column] : [],
      ),
    ),
    deployed.securityInvoker ? undefined : 'runs with its owner’s rights: security_invoker is off',
  ]);
}

export function functionProblem(name: string, catalogue: Catalogue): string | undefined {
  const expected = manifest.functions[name];
  const deployed = catalogue.functions[name];
  if (earlierSignatures(name, catalogue).length > 0) return earlierVersion;
  if (!deployed) return 'is missing';
  if (deployed.result !== expected?.result) return `returns ${deployed.result}`;
  if (deployed.bodyHash !== expected.bodyHash) return 'has another body';
  return deployed.securityDefiner ? 'runs with its owner’s rights: SECURITY DEFINER' : undefined;
}

/** A function of ours with a right too many is still ours: only verify counts it. */
export function functionGrantProblem(name: string, catalogue: Catalogue): string | undefined {
  return catalogue.functions[name]?.public ? 'may be executed by every role (PUBLIC)' : undefined;
}

export function triggerProblem(name: string, catalogue: Catalogue): string | undefined {
  const deployed = catalogue.triggers[name];
  if (!deployed) return 'is missing';
  if (!deployed.enabled) return 'is disabled';
  return JSON.stringify(sortedEntries(deployed)) ===
    JSON.stringify(sortedEntries(manifest.triggers[name]))
    ? undefined
    : `runs ${deployed.function}(${deployed.arguments}) at other events`;
}

export function policyProblem(name: string, catalogue: Catalogue): string | undefined {
  const expected = manifest.policies[name];
  if (!expected) return undefined;
  const deployed = catalogue.policies[name];
  const isPrivate = privatePatterns.test(normalised(deployed?.using ?? ''));
  return name.startsWith('success_patterns.') && deployed && isPrivate
    ? comparedPolicy(name, { ...expected, using: deployed.using }, catalogue)
    : comparedPolicy(name, expected, catalogue);
}

/** What examples/sql/private-patterns.sql puts in place of "everybody reads every pattern". */
const privatePatterns =
  /^EXISTS SELECT FROM (?:\S+\.)?execution_traces t WHERE t\.correlation_id = success_patterns\.source_correlation_id$/;

function comparedPolicy(name: string, expected: Policy, catalogue: Catalogue): string | undefined {
  const deployed = catalogue.policies[name];
  if (!deployed) return 'is missing';
  const table = name.slice(0, name.indexOf('.'));
  if (!catalogue.tables[table]?.rowSecurity) return `has no effect: row-level security is off`;
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
