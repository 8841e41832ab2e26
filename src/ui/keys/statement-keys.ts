import type { Binding } from './key-map.js';

/** What the console asks its database. */
export const statementKeys: readonly Binding[] = [
  {
    command: 'sql',
    keys: ['Q'],
    scopes: ['panes'],
    text: 'the SQL behind the pane, what it took, and its plan',
  },
  {
    command: 'log',
    keys: ['L'],
    scopes: ['panes'],
    text: 'the statements that the console ran, with their times',
  },
];
