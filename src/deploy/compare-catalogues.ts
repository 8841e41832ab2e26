import type { Catalogue } from './catalogue.js';

/**
 * Names what was in a schema before and is another now. Additions do not count: a new column, index
 * or trigger of a table leaves what was there as it was.
 *
 * @param allowsPolicies policies replaced by the file of row-level security are its purpose
 */
export function changedFrom(before: Catalogue, after: Catalogue, allowsPolicies = false): string[] {
  const components = ['indexes', 'views', 'triggers', 'policies'] as const;
  const functions = differing(withoutGrants(before.functions), withoutGrants(after.functions));
  const changed = components
    .filter((component) => !(allowsPolicies && component === 'policies'))
    .flatMap((component) => differing(before[component], after[component]));
  const tables = Object.entries(before.tables).flatMap(([table, { columns, constraints }]) => {
    const now = after.tables[table];
    if (!now) return [table];
    const lost = constraints.filter((definition) => !now.constraints.includes(definition));
    return [...differing(columns, now.columns), ...lost].map((what) => `${table}: ${what}`);
  });
  return [...changed, ...functions, ...tables];
}

/** Each function's file takes EXECUTE from PUBLIC right after it was created. */
function withoutGrants(functions: Catalogue['functions']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(functions).map(([name, definition]) => [name, { ...definition, public: false }]),
  );
}

function differing(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  return Object.keys(before).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
}
