import type { Binding } from './key-map.js';

export type PaneCommandId =
  'focus' | 'focusNext' | 'focusPrevious' | 'paneList' | 'choose' | 'toggleOverview';

/** From pane to pane, and the list of all of them. */
export const paneKeys: readonly Binding[] = [
  {
    command: 'focus',
    keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
    scopes: ['panes'],
    text: 'give the keys to the pane of that number',
    bar: 'pane',
    barKeys: '1–9',
    priority: 3,
  },
  { command: 'focusNext', keys: ['tab', 'right'], scopes: ['panes'], text: 'the next pane' },
  {
    command: 'focusPrevious',
    keys: ['shift+tab', 'left'],
    scopes: ['panes'],
    text: 'the pane before',
  },
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
    priority: 1,
  },
  {
    command: 'toggleOverview',
    keys: ['space'],
    scopes: ['paneList'],
    text: 'show the pane in the overview, or no longer',
    bar: 'in the overview, or not',
    priority: 2,
  },
  {
    command: 'back',
    keys: ['escape', 'q'],
    closes: 'paneList',
    scopes: ['paneList'],
    text: 'back to the panes',
    bar: 'back',
    priority: 1,
  },
];
