import { alertKeys } from './alert-keys.js';
import { connectionKeys, type ConnectionCommandId } from './connection-keys.js';
import { maintenanceKeys, type MaintenanceCommandId } from './maintenance-keys.js';
import { outKeys, type OutCommandId } from './out-keys.js';
import { openedKeys, openedScopes, type OpenedCommandId } from './opened-keys.js';
import { paneKeys, type PaneCommandId } from './pane-keys.js';
import { promptKeys, type PromptCommandId } from './prompt-keys.js';
import { rowKeys, type RowCommandId } from './row-keys.js';
import { statementKeys } from './statement-keys.js';
import { timeKeys, type TimeCommandId } from './time-keys.js';
import { quitKeys, type QuitCommandId } from './quit-keys.js';

/** What has the keys: the panes, or what lies over them. */
export type Scope =
  | 'panes'
  | 'paneList'
  | 'prompt'
  | 'waiting'
  | 'record'
  | 'list'
  | 'trace'
  | 'export'
  | 'help'
  | 'confirm'
  | 'running'
  | 'done'
  | 'quit'
  | 'schema'
  | 'connections'
  | 'connecting';

export type CommandId =
  | ConnectionCommandId
  | MaintenanceCommandId
  | QuitCommandId
  | OpenedCommandId
  | OutCommandId
  | PaneCommandId
  | PromptCommandId
  | RowCommandId
  | TimeCommandId
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'first'
  | 'last'
  | 'open'
  | 'back'
  | 'zoom'
  | 'sort'
  | 'reverse'
  | 'window'
  | 'windowShorter'
  | 'pause'
  | 'faster'
  | 'slower'
  | 'refresh'
  | 'exact'
  | 'alerts'
  | 'sql'
  | 'log'
  | 'help'
  | 'quit'
  | 'confirm'
  | 'cancel'
  | 'accept'
  | 'decline'
  | 'repaint'
  | 'suspend'
  | 'interrupt';

export type Binding = {
  command: CommandId;
  keys: readonly string[];
  scopes: readonly Scope[];
  /** What it does, for help. */
  text: string;
  /** On the key bar: a word or two. Absent: help only. */
  bar?: string;
  /** On the key bar as so many of its keys (default 1), or as this text. */
  barKeys?: number | string;
  /** On the key bar together with this one's key. */
  barWith?: CommandId;
  /** The keys of the action that opened what this one leaves work here, too. */
  closes?: CommandId;
  /** 1 stays longest on a narrow key bar. */
  priority?: number;
};

const scrolled: readonly Scope[] = ['panes', 'paneList', ...openedScopes, 'help', 'connections'];
const everywhere: readonly Scope[] = [
  ...scrolled,
  'prompt',
  'confirm',
  'running',
  'done',
  'quit',
  'schema',
  'connecting',
];

/** The one list of keys: what they do, what help says of them, what the key bar shows. */
export const keyMap: readonly Binding[] = [
  ...paneKeys,
  ...promptKeys,
  ...rowKeys,
  {
    command: 'up',
    keys: ['up', 'k'],
    scopes: scrolled,
    text: 'one row up',
    bar: 'move',
    barWith: 'down',
    priority: 4,
  },
  { command: 'down', keys: ['down', 'j'], scopes: scrolled, text: 'one row down' },
  { command: 'pageUp', keys: ['pageUp', 'ctrl+b'], scopes: scrolled, text: 'a page up' },
  { command: 'pageDown', keys: ['pageDown', 'ctrl+f'], scopes: scrolled, text: 'a page down' },
  { command: 'first', keys: ['g', 'home'], scopes: scrolled, text: 'to the first row' },
  {
    command: 'last',
    keys: ['G', 'end'],
    scopes: scrolled,
    text: 'to the last row; in the activity: follow it again',
  },
  {
    command: 'open',
    keys: ['enter'],
    scopes: ['panes'],
    text: 'open the chosen row in full',
    bar: 'open',
    priority: 2,
  },
  ...openedKeys,
  ...outKeys,
  {
    command: 'back',
    keys: ['escape'],
    scopes: ['panes'],
    text: 'one step back: marks, filter, newest rows, overview, out of the zoom, now',
  },
  {
    command: 'back',
    keys: ['escape', 'q', 'enter'],
    closes: 'help',
    scopes: ['help'],
    text: 'back',
    bar: 'back',
    priority: 1,
  },
  {
    command: 'zoom',
    keys: ['z'],
    scopes: ['panes'],
    text: 'the pane on the whole screen, and back',
    bar: 'zoom',
    priority: 5,
  },
  {
    command: 'sort',
    keys: ['s'],
    scopes: ['panes'],
    text: 'sort by the next column',
    bar: 'sort',
    priority: 5,
  },
  { command: 'reverse', keys: ['S'], scopes: ['panes'], text: 'turn the order round' },
  {
    command: 'window',
    keys: ['w'],
    scopes: ['panes'],
    text: 'the next longer time window',
    bar: 'window',
    priority: 4,
  },
  {
    command: 'windowShorter',
    keys: ['W'],
    scopes: ['panes'],
    text: 'the next shorter time window',
  },
  {
    command: 'pause',
    keys: ['space'],
    scopes: ['panes'],
    text: 'stop asking the database, and go on',
    bar: 'pause',
    priority: 6,
  },
  {
    command: 'faster',
    keys: ['+', '='],
    scopes: ['panes'],
    text: 'ask more often',
    bar: 'cadence',
    barWith: 'slower',
    priority: 8,
  },
  { command: 'slower', keys: ['-', '_'], scopes: ['panes'], text: 'ask less often' },
  {
    command: 'refresh',
    keys: ['ctrl+r'],
    scopes: ['panes'],
    text: 'ask now, also while paused; try to connect at once',
    bar: 'now',
    priority: 9,
  },
  {
    command: 'exact',
    keys: ['E'],
    scopes: ['panes'],
    text: 'exact figures of the window, whatever they cost; again: as usual',
  },
  ...maintenanceKeys,
  ...alertKeys,
  ...timeKeys,
  ...statementKeys,
  ...connectionKeys,
  {
    command: 'confirm',
    keys: ['y'],
    scopes: ['confirm'],
    text: 'yes, do it',
    bar: 'do it',
    priority: 1,
  },
  {
    command: 'cancel',
    keys: ['enter', 'escape', 'n', 'q'],
    scopes: ['confirm'],
    text: 'no, change nothing',
    bar: 'cancel',
    barKeys: 2,
    priority: 1,
  },
  {
    command: 'cancel',
    keys: ['escape', 'c'],
    scopes: ['running'],
    text: 'stop it at the next safe point',
    bar: 'cancel',
    barKeys: 2,
    priority: 1,
  },
  {
    command: 'back',
    keys: ['enter', 'escape', 'q', 'space'],
    scopes: ['done'],
    text: 'back to the panes',
    bar: 'back',
    priority: 1,
  },
  ...quitKeys,
  {
    command: 'accept',
    keys: ['y'],
    scopes: ['schema'],
    text: 'yes',
    bar: 'yes',
    priority: 1,
  },
  {
    command: 'decline',
    keys: ['enter', 'escape', 'n'],
    scopes: ['schema'],
    text: 'no',
    bar: 'no',
    barKeys: 2,
    priority: 1,
  },
  {
    command: 'help',
    keys: ['?'],
    scopes: ['panes', ...openedScopes],
    text: 'this help',
    bar: 'help',
    priority: 1,
  },
  {
    command: 'quit',
    keys: ['q'],
    scopes: ['panes', 'running', 'schema'],
    text: 'quit; asks first while an action runs',
    bar: 'quit',
    priority: 1,
  },
  { command: 'interrupt', keys: ['ctrl+c'], scopes: everywhere, text: 'quit; twice: at once' },
  { command: 'suspend', keys: ['ctrl+z'], scopes: everywhere, text: 'to the shell; back with fg' },
  { command: 'repaint', keys: ['ctrl+l'], scopes: everywhere, text: 'draw the screen anew' },
];
