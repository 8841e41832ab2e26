import type { Binding } from './key-map.js';

/** What the rules of the config file have to tell. */
export const alertKeys: readonly Binding[] = [
  {
    command: 'alerts',
    keys: ['!'],
    scopes: ['panes'],
    text: 'the alerts: what fired, and when',
  },
];
