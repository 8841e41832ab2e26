import type { Binding } from './key-map.js';

export type QuitCommandId = 'quitCancel' | 'quitWait' | 'quitLeave' | 'quitStay';

/** Asked to quit, or to go to another database, while an action runs. */
export const quitKeys: readonly Binding[] = [
  {
    command: 'quitWait',
    keys: ['w'],
    scopes: ['quit'],
    text: 'wait for its end, then leave',
    bar: 'wait for it',
    priority: 2,
  },
  {
    command: 'quitCancel',
    keys: ['y'],
    scopes: ['quit'],
    text: 'cancel it, clean up, and leave',
    bar: 'cancel it',
    priority: 2,
  },
  {
    command: 'quitLeave',
    keys: ['l'],
    scopes: ['quit'],
    text: 'let the server go on with it alone, and leave',
    bar: 'leave it running',
    priority: 2,
  },
  {
    command: 'quitStay',
    keys: ['enter', 'escape', 'n'],
    scopes: ['quit'],
    text: 'stay',
    bar: 'stay',
    barKeys: 2,
    priority: 1,
  },
];
