import { withSeparators } from '../../shared/format/number.js';
import { readAnalyzeProgress } from '../server-progress.js';
import { maintainTables } from './maintain-tables.js';

/** Lets the planner know what the tables hold now: the seed's ANALYZE list and the tables beside it. */
export const analyze = maintainTables({
  id: 'analyze',
  title: 'Analyze',
  done: 'Analyzed',
  command: 'ANALYZE',
  requires: ['primary', 'vacuum'],
  readProgress: readAnalyzeProgress,
  facts: (tables) => [
    {
      label: 'Changed',
      value: `${withSeparators(tables.reduce((sum, { changedSinceAnalyze }) => sum + changedSinceAnalyze, 0))} rows since the last analyze`,
    },
    { label: 'Reads', value: 'a sample of 30,000 rows a table at most' },
  ],
});
