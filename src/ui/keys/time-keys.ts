import type { Binding } from './key-map.js';

export type TimeCommandId = 'earlier' | 'later' | 'farEarlier' | 'farLater';

/** Back and on in time: in the data, or in a recording. */
export const timeKeys: readonly Binding[] = [
  {
    command: 'earlier',
    keys: ['['],
    scopes: ['panes'],
    text: 'back in time by a window; :at 14:05 chooses a moment. In a recording: 10 seconds back; :pause stops it, :faster and :slower set its speed',
    bar: 'back in time',
    barWith: 'later',
    priority: 7,
  },
  {
    command: 'later',
    keys: [']'],
    scopes: ['panes'],
    text: 'on by a window, until now again. In a recording: by 10 seconds',
  },
  {
    command: 'farEarlier',
    keys: ['{'],
    scopes: ['panes'],
    text: 'back by a day, to the same time. In a recording: by 5 minutes',
  },
  {
    command: 'farLater',
    keys: ['}'],
    scopes: ['panes'],
    text: 'on by a day. In a recording: by 5 minutes',
  },
];
