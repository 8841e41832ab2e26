import type { Binding } from './key-map.js';

export type OutCommandId =
  'copy' | 'copyAll' | 'export' | 'exportCsv' | 'exportJson' | 'exportOtlp';

/** The keys for what leaves the console. */
export const outKeys: readonly Binding[] = [
  {
    command: 'copy',
    keys: ['y'],
    scopes: ['panes', 'list', 'trace'],
    text: 'copy: the row, the id of the trace',
    bar: 'copy',
    priority: 7,
  },
  {
    command: 'copy',
    keys: ['y'],
    scopes: ['record'],
    text: 'copy the value under the cursor, whole also where it is folded',
    bar: 'copy',
    priority: 3,
  },
  {
    command: 'copyAll',
    keys: ['Y'],
    scopes: ['record'],
    text: 'copy the whole row as JSON',
    bar: 'copy row',
    priority: 7,
  },
  {
    command: 'export',
    keys: ['e'],
    scopes: ['panes', 'record', 'list', 'trace'],
    text: 'write the rows, or the trace, to a new file: CSV, JSON, OTLP',
    bar: 'export',
    priority: 7,
  },
  {
    command: 'exportCsv',
    keys: ['c'],
    scopes: ['export'],
    text: 'as CSV',
    bar: 'CSV',
    priority: 1,
  },
  {
    command: 'exportJson',
    keys: ['j'],
    scopes: ['export'],
    text: 'as JSON',
    bar: 'JSON',
    priority: 1,
  },
  {
    command: 'exportOtlp',
    keys: ['o'],
    scopes: ['export'],
    text: 'a trace as OTLP, for collectors and trace viewers',
    bar: 'OTLP',
    priority: 1,
  },
  {
    command: 'back',
    keys: ['escape', 'q', 'n'],
    scopes: ['export'],
    text: 'back, write nothing',
    bar: 'back',
    priority: 1,
  },
];
