import type { Binding } from './key-map.js';

export type RowCommandId = 'mark' | 'columnsRight' | 'columnsLeft';

/** Marks, and the columns that have no room. */
export const rowKeys: readonly Binding[] = [
  {
    command: 'mark',
    keys: ['m'],
    scopes: ['panes'],
    text: 'mark the row, or no longer: :copy, :export, :analyze and :reindex take all marked rows',
  },
  {
    command: 'columnsRight',
    keys: ['>'],
    scopes: ['panes'],
    text: 'columns that have no room: further to the right',
  },
  { command: 'columnsLeft', keys: ['<'], scopes: ['panes'], text: 'back to the left' },
];
