import type { Binding } from './key-map.js';

export type ConnectionCommandId = 'connections' | 'retry';

/** From one database to another. */
export const connectionKeys: readonly Binding[] = [
  {
    command: 'connections',
    keys: ['C'],
    scopes: ['panes', 'running'],
    text: 'the connections of the config file: go to another database',
  },
  {
    command: 'choose',
    keys: ['enter'],
    scopes: ['connections'],
    text: 'connect to the chosen one',
    bar: 'connect',
    priority: 1,
  },
  {
    command: 'retry',
    keys: ['r'],
    scopes: ['connecting'],
    text: 'try again, when it could not be reached',
    bar: 'try again',
    priority: 2,
  },
  {
    command: 'back',
    keys: ['escape', 'q'],
    closes: 'connections',
    scopes: ['connections'],
    text: 'back to the panes',
    bar: 'back',
    priority: 1,
  },
  {
    command: 'back',
    keys: ['escape', 'enter', 'q'],
    scopes: ['connecting'],
    text: 'back to the database that was there before',
    bar: 'back',
    priority: 1,
  },
];
