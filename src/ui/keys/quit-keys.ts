import type { Binding } from './key-map.js';

export type QuitCommandId = 'quitCancel' | 'quitWait' | 'quitLeave' | 'quitStay';

/** Asked to quit while an action runs. */
export const quitKeys: readonly Binding[] = [
  {
    command: 'quitWait',
    keys: ['w'],
    scopes: ['quit'],
    text: 'wait for its end, then quit',
    bar: 'wait, then quit',
    priority: 2,
  },
  {
    command: 'quitCancel',
    keys: ['y'],
    scopes: ['quit'],
    text: 'cancel it, clean up, and quit',
    bar: 'cancel and quit',
    priority: 2,
  },
  {
    command: 'quitLeave',
    keys: ['l'],
    scopes: ['quit'],
    text: 'leave it running on the server, and quit',
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
