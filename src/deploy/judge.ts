import { coreTables, type CoreTable } from '../shared/tables.js';
import type { Catalogue, Column } from './catalogue.js';
import { manifest } from './manifest.js';
import { isOfFamily, requiredColumns } from './required-columns.js';

/**
 * What became of one table of ours:
 * - `missing`: no relation has its name;
 * - `exact`: every expected column is there, with its type;
 * - `compatible`: every column that a pane needs is there; others lack or differ;
 * - `incompatible`: something else has its name. It is named and never touched.
 */
export type TableVerdict = {
  table: CoreTable;
  verdict: 'missing' | 'exact' | 'compatible' | 'incompatible';
  missingColumns: string[];
  differingColumns: string[];
  /** Why it is incompatible, a clause a reason. */
  reasons: string[];
};

/** Judges the eight tables of a schema one by one. */
export function judgeTables(catalogue: Catalogue): TableVerdict[] {
  return coreTables.map((table) => judgeTable(table, catalogue));
}

function judgeTable(table: CoreTable, catalogue: Catalogue): TableVerdict {
  const verdict = { table, missingColumns: [], differingColumns: [], reasons: [] };
  const relationKind = catalogue.relations[table];
  if (relationKind === undefined) return { ...verdict, verdict: 'missing' };
  const deployed = catalogue.tables[table];
  if (!deployed) {
    const kind = kindNames[relationKind] ?? `a relation of kind "${relationKind}"`;
    return { ...verdict, verdict: 'incompatible', reasons: [`it is ${kind}, not a table`] };
  }
  const reasons = Object.entries(requiredColumns[table]).flatMap(([name, family]) => {
    const column = deployed.columns[name];
    if (!column) return [`it has no column ${name}`];
    return isOfFamily(column.type, family) ? [] : [`its column ${name} is ${column.type}`];
  });
  const expected = Object.entries(manifest.tables[table]?.columns ?? {});
  const missingColumns = expected.flatMap(([name]) => (deployed.columns[name] ? [] : [name]));
  const differingColumns = expected.flatMap(([name, column]) => {
    const other = deployed.columns[name];
    return other && !sameColumn(column, other) ? [name] : [];
  });
  const exact = missingColumns.length + differingColumns.length === 0;
  return {
    table,
    verdict: reasons.length > 0 ? 'incompatible' : exact ? 'exact' : 'compatible',
    missingColumns,
    differingColumns,
    reasons,
  };
}

/** Defaults are the writers' business; the type and how a value comes about are ours. */
export function sameColumn(expected: Column, deployed: Column): boolean {
  return (
    expected.type === deployed.type &&
    expected.notNull === deployed.notNull &&
    expected.generated === deployed.generated
  );
}

const kindNames: Partial<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
};
