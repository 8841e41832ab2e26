import { withSeparators } from '../../shared/format/number.js';
import type { Database } from '../../db/database.js';
import type { Preview } from '../action.js';
import { chooseTrees, countTrees, type TreeChoice } from './trees.js';

/** The preview of what is done to chosen trees: how many and of which time, then `rest`. */
export async function treePreview(
  database: Database,
  choice: TreeChoice,
  rest: Omit<Preview, 'nothing' | 'list'>,
): Promise<Preview> {
  const chosen = await chooseTrees(database, choice);
  const { trees, traces, oldest, newest } = await countTrees(database, chosen);
  if (trees === 0) {
    const nothing = 'No archived trace is meant by that.';
    return { title: rest.title, facts: [], sql: [], warnings: [], nothing };
  }
  return {
    ...rest,
    facts: [
      { label: 'Trees', value: withSeparators(trees) },
      { label: 'Traces', value: `${withSeparators(traces)}, with all that belongs to them` },
      { label: 'Started', value: daySpan(oldest, newest) },
      ...rest.facts,
    ],
  };
}

/** `2026-03-01 to 2026-04-02`. A writer may have given an infinite time, which arrives as a number. */
export function daySpan(...moments: readonly (Date | number | null)[]): string {
  const day = (moment: Date | number | null) => {
    if (moment instanceof Date) return moment.toISOString().slice(0, 10);
    return moment === null ? '-' : moment < 0 ? 'before all time' : 'after all time';
  };
  return moments.map(day).join(' to ');
}
