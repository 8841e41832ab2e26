import { readCatalogue } from '../../../deploy/catalogue.js';
import { compareWithManifest } from '../../../deploy/compare.js';
import { judgeTables } from '../../../deploy/judge.js';
import { counted, firstOf, good, type Check } from '../check.js';

export const schemaDifferences: Check = {
  id: 'schema',
  title: 'Schema',
  why: 'A table, index, trigger or function that is missing or differs makes figures wrong, queries slow, or archiving impossible.',
  async run({ tx, capabilities: { schema, supabaseRoles } }) {
    const catalogue = await readCatalogue(tx, schema);
    const broken = judgeTables(catalogue).filter(
      ({ verdict }) => verdict === 'missing' || verdict === 'incompatible',
    );
    const { ok, differences } = compareWithManifest(catalogue, supabaseRoles);
    if (ok) return good(`Everything is in the schema "${schema}" as it should be.`);
    const lines = differences.map(
      ({ component, object, problem }) => `${component}: ${object} ${problem}`,
    );
    const names = broken.map(({ table, verdict }) => `${table} (${verdict})`);
    return {
      severity: broken.length > 0 ? 'critical' : 'warning',
      evidence:
        broken.length > 0
          ? `${counted(broken.length, 'table')} missing or of another program in the schema "${schema}": ${firstOf(names)}.`
          : `${counted(differences.length, 'difference')} in the schema "${schema}": ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'See all of it with "schema verify". What is missing, "schema apply" creates after showing it; what differs is never changed.',
      command: 'trace-console schema apply',
    };
  },
};
