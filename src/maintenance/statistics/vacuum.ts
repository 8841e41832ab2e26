import { withSeparators } from '../../shared/format/number.js';
import { readVacuumProgress } from '../server-progress.js';
import { maintainTables } from './maintain-tables.js';

/** Makes the room of dead rows usable again; the files keep their size, as a rule. */
export const vacuum = maintainTables({
  id: 'vacuum',
  title: 'Vacuum',
  done: 'Vacuumed',
  command: 'VACUUM',
  requires: ['primary', 'direct-connection', 'vacuum'],
  readProgress: readVacuumProgress,
  facts: (tables) => [
    {
      label: 'Dead rows',
      value: `${withSeparators(tables.reduce((sum, { deadRows }) => sum + deadRows, 0))}, estimated`,
    },
    { label: 'Disk', value: 'the room is used again; the files seldom shrink' },
  ],
});
