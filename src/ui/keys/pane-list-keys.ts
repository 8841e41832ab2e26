import type { Binding } from './key-map.js';

export type PaneListCommandId = 'paneList' | 'choose' | 'toggleOverview';

/** The list of all panes, and what can be done in it. */
export const paneListKeys: readonly Binding[] = [
  {
    command: 'paneList',
    keys: ['o', '0'],
    scopes: ['panes'],
    text: 'list all panes: go to one, or choose those of the overview',
    bar: 'all panes',
    priority: 4,
  },
  {
    command: 'choose',
    keys: ['enter', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    scopes: ['paneList'],
    text: 'go to the chosen pane, or to that of the number',
    bar: 'go there',
    barKey: 'Enter',
    priority: 1,
  },
  {
    command: 'toggleOverview',
    keys: ['space'],
    scopes: ['paneList'],
    text: 'show the pane in the overview, or no longer',
    bar: 'in the overview, or not',
    barKey: 'Space',
    priority: 2,
  },
  {
    command: 'back',
    keys: ['escape', 'q', 'o', '0'],
    scopes: ['paneList'],
    text: 'back to the panes',
    bar: 'back',
    barKey: 'Esc',
    priority: 1,
  },
];
