import type { Binding, Scope } from './key-map.js';

export type OpenedCommandId =
  | 'fold'
  | 'foldOrParent'
  | 'unfoldTree'
  | 'foldAll'
  | 'slowest'
  | 'nextFailure'
  | 'previousFailure'
  | 'refreshView';

export const openedScopes = ['waiting', 'record', 'list', 'trace'] as const satisfies Scope[];

/** The keys in what Enter has opened. */
export const openedKeys: readonly Binding[] = [
  {
    command: 'open',
    keys: ['enter'],
    scopes: ['list', 'trace'],
    text: 'open the chosen row: the trace, the event in full',
    bar: 'open',
    priority: 2,
  },
  {
    command: 'open',
    keys: ['enter'],
    scopes: ['record'],
    text: 'open what the line tells of, as a neighbour; else fold or unfold it',
    bar: 'open',
    priority: 4,
  },
  {
    command: 'fold',
    keys: ['o', 'space'],
    scopes: ['record'],
    text: 'fold or unfold the value under the cursor: a long text, an object or a list of JSON',
    bar: 'fold',
    priority: 2,
  },
  {
    command: 'foldAll',
    keys: ['O'],
    scopes: ['record'],
    text: 'show every value whole; again: as at first',
    bar: 'unfold all',
    priority: 3,
  },
  {
    command: 'foldOrParent',
    keys: ['left', 'h'],
    scopes: ['record'],
    text: 'fold; folded already: to the object or list that it belongs to',
  },
  { command: 'unfoldTree', keys: ['right', 'l'], scopes: ['record'], text: 'unfold' },
  {
    command: 'nextFailure',
    keys: ['f'],
    scopes: ['trace'],
    text: 'to the next failure, also a folded one',
    bar: 'failure',
    priority: 2,
  },
  {
    command: 'previousFailure',
    keys: ['F'],
    scopes: ['trace'],
    text: 'to the failure before',
  },
  {
    command: 'slowest',
    keys: ['s'],
    scopes: ['trace'],
    text: 'what made it slow: events by the time the whole waited for them; again: the tree',
    bar: 'slowest',
    priority: 2,
  },
  {
    command: 'slowest',
    keys: ['s'],
    scopes: ['list'],
    text: 'the slowest of these rows first; again: as they were read',
    bar: 'slowest',
    priority: 2,
  },
  {
    command: 'fold',
    keys: ['o', 'space'],
    scopes: ['trace'],
    text: 'hide or show what is below the event',
    bar: 'fold',
    priority: 4,
  },
  {
    command: 'foldOrParent',
    keys: ['left', 'h'],
    scopes: ['trace'],
    text: 'fold; folded already: to what the event belongs to',
  },
  { command: 'unfoldTree', keys: ['right', 'l'], scopes: ['trace'], text: 'unfold' },
  {
    command: 'foldAll',
    keys: ['O'],
    scopes: ['trace'],
    text: 'fold everything below the first level, or unfold all',
  },
  {
    command: 'refreshView',
    keys: ['ctrl+r'],
    scopes: [...openedScopes],
    text: 'ask again; a trace that runs is asked by itself',
  },
  {
    command: 'back',
    keys: ['escape', 'q'],
    scopes: ['waiting', 'record', 'list', 'trace'],
    text: 'one step back, to the same row',
    bar: 'back',
    priority: 1,
  },
];
