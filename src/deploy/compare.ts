import { archiveOf, archivedTables, coreTables } from '../core/tables.js';
import { type Catalogue, manifest, readCatalogue } from './catalogue.js';
import {
  archiveProblem,
  functionGrantProblem,
  functionProblem,
  indexProblem,
  policyProblem,
  tableProblem,
  triggerProblem,
  viewProblem,
} from './object-problems.js';
import { supabaseRoles } from './prerequisites.js';
import type { Database } from '../db/database.js';

/** One line of the seed's table. Counts are of expected objects that are there and as expected. */
export type ComponentResult = {
  component:
    | 'tables'
    | 'archives'
    | 'indexes'
    | 'views'
    | 'functions'
    | 'triggers'
    | 'policies'
    | 'extensions';
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
    ['tables', problemsOf([...core], (name) => tableProblem(name, catalogue))],
    ['archives', problemsOf(archives, (name) => archiveProblem(name, catalogue, hasRoles))],
    [
      'indexes',
      problemsOf(Object.keys(manifest.indexes), (name) =>
        indexProblem(manifest.indexes[name], catalogue.indexes[name]),
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
        catalogue.extensions[name] === undefined ? 'is missing' : undefined,
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
  const catalogue = await database.transaction(
    { readOnly: true, isolation: 'REPEATABLE READ', lockTimeoutMs: 3_000 },
    (tx) => readCatalogue(tx, schema),
  );
  return compareWithManifest(catalogue, supabaseRoles);
}
