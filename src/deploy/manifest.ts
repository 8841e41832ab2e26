import { archiveOf, archivedTables, coreTables } from '../shared/tables.js';
import type { Catalogue } from './catalogue.js';
import recorded from './manifest.json' with { type: 'json' };

/** What a complete deployment holds: the catalogue without the extensions' versions. */
export type Manifest = Omit<Catalogue, 'extensions' | 'relations'> & {
  extensions: string[];
  /** The policies of the archives; the seed's count of 16 is of the eight tables. */
  archivePolicies: Catalogue['policies'];
};

/**
 * The expected objects, recorded from a real server (`npm run schema:manifest`) and checked in, so
 * that a change of the schema shows as a diff. A test compares it with a fresh deployment.
 */
export const manifest: Manifest = recorded;

/** Picks the schema's own objects out of a catalogue: what the manifest records. */
export function manifestOf(catalogue: Catalogue): Manifest {
  const archives = new Set<string>(archivedTables.map(archiveOf));
  const core = new Set<string>(coreTables);
  const tableOf = (key: string) => key.split('.')[0] ?? '';
  const ofTable = (key: string) => core.has(tableOf(key));
  return {
    tables: pick(catalogue.tables, (name) => core.has(name) || archives.has(name)),
    indexes: pick(catalogue.indexes, (_, { table }) => core.has(table)),
    views: catalogue.views,
    functions: catalogue.functions,
    triggers: pick(catalogue.triggers, ofTable),
    policies: pick(catalogue.policies, ofTable),
    archivePolicies: pick(catalogue.policies, (key) => archives.has(tableOf(key))),
    extensions: ['uuid-ossp', 'vector'],
  };
}

function pick<Value>(
  objects: Record<string, Value>,
  keep: (name: string, value: Value) => boolean,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(objects).filter(([name, value]) => keep(name, value)));
}
