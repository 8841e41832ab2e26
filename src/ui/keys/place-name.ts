import type { Scope } from './key-map.js';

/** Where keys work, as help says it. */
export const placeNames: Readonly<Record<Scope, string>> = {
  panes: 'In the panes',
  paneList: 'In the list of panes',
  prompt: 'While a filter, a search or a command is typed',
  waiting: 'While something opens',
  trace: 'In a trace',
  list: 'In a list',
  record: 'In an opened row',
  export: 'Asked how to write a file',
  help: 'In this help',
  confirm: 'Before an action',
  running: 'While an action runs',
  done: 'After an action, and at notices',
  quit: 'Asked to leave while an action runs',
  schema: 'Asked to create the schema',
  connections: 'In the list of connections',
  connecting: 'While it connects',
};
