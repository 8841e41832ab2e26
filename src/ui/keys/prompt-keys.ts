import type { Binding } from './key-map.js';

export type PromptCommandId =
  | 'filter'
  | 'search'
  | 'nextMatch'
  | 'previousMatch'
  | 'commandLine'
  | 'promptAccept'
  | 'promptCancel'
  | 'promptComplete'
  | 'promptUp'
  | 'promptDown';

/** What opens a line to type into, and what the keys are in it that are no text. */
export const promptKeys: readonly Binding[] = [
  {
    command: 'filter',
    keys: ['/'],
    scopes: ['panes'],
    text: 'filter the rows: words, !not, column:word, dur>2s; Esc clears it',
    bar: 'filter',
    priority: 3,
  },
  {
    command: 'search',
    keys: ['/'],
    scopes: ['record', 'list', 'trace'],
    text: 'search what is shown, whatever the case; Esc ends the search',
    bar: 'search',
    priority: 3,
  },
  {
    command: 'nextMatch',
    keys: ['n'],
    scopes: ['record', 'list', 'trace'],
    text: 'to the next match, round the end',
  },
  {
    command: 'previousMatch',
    keys: ['N'],
    scopes: ['record', 'list', 'trace'],
    text: 'to the match before',
  },
  {
    command: 'commandLine',
    keys: [':'],
    scopes: ['panes', 'record', 'list', 'trace'],
    text: 'every command, pane and setting by name',
    bar: 'command',
    priority: 3,
  },
  {
    command: 'promptAccept',
    keys: ['enter'],
    scopes: ['prompt'],
    text: 'take what was typed, or the chosen line',
    bar: 'take it',
    priority: 1,
  },
  {
    command: 'promptCancel',
    keys: ['escape', 'ctrl+g'],
    scopes: ['prompt'],
    text: 'leave it; a filter or a search is cleared',
    bar: 'leave',
    priority: 1,
  },
  {
    command: 'promptComplete',
    keys: ['tab'],
    scopes: ['prompt'],
    text: 'complete to the chosen line',
    bar: 'complete',
    priority: 2,
  },
  { command: 'promptUp', keys: ['up', 'ctrl+p'], scopes: ['prompt'], text: 'the line above' },
  { command: 'promptDown', keys: ['down', 'ctrl+n'], scopes: ['prompt'], text: 'the line below' },
];
