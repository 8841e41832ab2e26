import type { Binding } from './key-map.js';

/** In a recording. */
export const replayKeys: readonly Binding[] = [
  {
    command: 'replayBack',
    keys: ['['],
    scopes: ['panes'],
    text: 'in a recording: 10 seconds back; :pause stops it, :faster and :slower set its speed',
  },
  { command: 'replayForward', keys: [']'], scopes: ['panes'], text: '10 seconds on' },
  { command: 'replayFarBack', keys: ['{'], scopes: ['panes'], text: '5 minutes back' },
  { command: 'replayFarForward', keys: ['}'], scopes: ['panes'], text: '5 minutes on' },
];
