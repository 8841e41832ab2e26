import { withSeparators } from '../../../shared/format/number.js';
import { firstOf, good, type Check } from '../check.js';
import { readVectorIndexes, type VectorIndex } from '../read-vector-indexes.js';

export const vectorTraining: Check = {
  id: 'vector-training',
  title: 'Vector indexes: training',
  why: 'An ivfflat index learns its centres when it is built. Built on an almost empty table they are random, and the search misses most neighbours whatever it is asked; a rebuild on the data that came since mends it.',
  async run({ tx, capabilities }) {
    const indexes = await readVectorIndexes(tx, capabilities.schema);
    const untrained = indexes.filter(({ builtEmpty }) => builtEmpty);
    const [first] = untrained;
    if (!first) return good(`${trained(indexes)}.`);
    return {
      severity: 'warning',
      evidence: `Built on an almost empty table: ${firstOf(untrained.map(described))}.`,
      items: untrained.map(described),
      mend: 'Rebuild it now that there is data; r does it on the index pane.',
      command: `trace-console reindex ${first.index}`,
    };
  },
};

function described({ index, rows }: VectorIndex): string {
  return `${index} (now about ${withSeparators(Math.round(rows))} rows)`;
}

function trained(indexes: readonly VectorIndex[]): string {
  if (indexes.length === 0) return 'There is no ivfflat index';
  return `${firstOf(indexes.map(({ index }) => index))}: built on data, or still without any`;
}
