import { withSeparators } from '../../../shared/format/number.js';
import { recommendedLists } from '../../../shared/vector-lists.js';
import { firstOf, good, type Check } from '../check.js';
import { readVectorIndexes } from '../read-vector-indexes.js';

/** Twice too few cost speed, many too many cost recall. */
const tolerance = { few: 2, many: 4 };

export const vectorLists: Check = {
  id: 'vector-lists',
  title: 'Vector indexes: lists',
  why: 'Twice the square root of the rows, up to 1,000, is right for an ivfflat index of which find_similar_patterns searches the square root of the lists: with too few each list is long and the search slow, with too many the lists are thin and neighbours are missed.',
  async run({ tx, capabilities }) {
    const indexes = await readVectorIndexes(tx, capabilities.schema);
    const unfit = indexes.filter(({ lists, rows }) => {
      const fitting = recommendedLists(rows);
      return lists * tolerance.few < fitting || lists > fitting * tolerance.many;
    });
    const [first] = unfit;
    if (!first) {
      return good(
        indexes.length === 0
          ? 'There is no ivfflat index.'
          : `${firstOf(indexes.map(({ index, lists }) => `${index} ${lists}`))} lists fit the rows.`,
      );
    }
    const lines = unfit.map(
      ({ index, lists, rows }) =>
        `${index} has ${withSeparators(lists)} lists for about ${withSeparators(Math.round(rows))} rows; ${withSeparators(recommendedLists(rows))} would fit`,
    );
    return {
      severity: 'advice',
      evidence: `${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Rebuild it: the console sets the lists that fit before; r does it on the index pane.',
      command: `trace-console reindex ${first.index}`,
    };
  },
};
