import type { Binding } from './key-map.js';

export type PromptCommandId =
  | 'filter'
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
    command: 'commandLine',
    keys: [':'],
    scopes: ['panes'],
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
    barKey: 'Enter',
    priority: 1,
  },
  {
    command: 'promptCancel',
    keys: ['escape', 'ctrl+g'],
    scopes: ['prompt'],
    text: 'leave it; a filter is cleared',
    bar: 'leave',
    barKey: 'Esc',
    priority: 1,
  },
  {
    command: 'promptComplete',
    keys: ['tab'],
    scopes: ['prompt'],
    text: 'complete to the chosen line',
    bar: 'complete',
    barKey: 'Tab',
    priority: 2,
  },
  { command: 'promptUp', keys: ['up', 'ctrl+p'], scopes: ['prompt'], text: 'the line above' },
  { command: 'promptDown', keys: ['down', 'ctrl+n'], scopes: ['prompt'], text: 'the line below' },
];
