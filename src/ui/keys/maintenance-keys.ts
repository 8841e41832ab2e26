import type { Binding } from './key-map.js';

export type MaintenanceCommandId =
  | 'reindex'
  | 'reindexVectors'
  | 'cleanUp'
  | 'restore'
  | 'purge'
  | 'prune'
  | 'analyze'
  | 'vacuum'
  | 'archiveTraces';

/** What changes something, each after a preview. */
export const maintenanceKeys: readonly Binding[] = [
  {
    command: 'reindex',
    keys: ['r'],
    scopes: ['panes'],
    text: 'rebuild the chosen index, after a preview; follow a rebuild that is running',
    bar: 'reindex',
    priority: 6,
  },
  {
    command: 'reindexVectors',
    keys: ['R'],
    scopes: ['panes'],
    text: 'rebuild all vector indexes, with lists that fit their rows',
  },
  {
    command: 'cleanUp',
    keys: ['x'],
    scopes: ['panes'],
    text: 'drop the leftovers of interrupted rebuilds',
  },
  {
    command: 'restore',
    keys: ['b'],
    scopes: ['panes'],
    text: 'bring back the chosen archived trace, or do the chosen crashed run again',
  },
  {
    command: 'purge',
    keys: ['D'],
    scopes: ['panes'],
    text: 'delete the chosen archived trace for good, after a typed word',
  },
  {
    command: 'prune',
    keys: ['p'],
    scopes: ['panes'],
    text: 'delete old usage logs and patterns of little value, after a preview',
  },
  {
    command: 'analyze',
    keys: ['u'],
    scopes: ['panes'],
    text: 'update the statistics (ANALYZE) of the chosen table, or of all',
  },
  {
    command: 'vacuum',
    keys: ['v'],
    scopes: ['panes'],
    text: 'vacuum the chosen table, or all',
  },
  {
    command: 'archiveTraces',
    keys: ['a'],
    scopes: ['panes'],
    text: 'archive traces older than 90 days, after a preview',
    bar: 'archive',
    priority: 7,
  },
];
