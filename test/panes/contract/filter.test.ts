import { describe, expect, it } from 'vitest';
import { filterText, parseFilter } from '../../../src/panes/contract/filter.js';
import type { AnyPane } from '../../../src/panes/registry.js';
import type { Pane } from '../../../src/panes/contract/pane.js';

type Row = {
  name: string;
  tool: string | null;
  durationMs: number | null;
  share: number;
  bytes: number;
  last: Date;
};

const nowMs = Date.UTC(2026, 2, 1, 12);
const column = { align: 'left', priority: 1, minWidth: 4 } as const;
const columns: Pane<Row>['columns'] = [
  { ...column, id: 'name', title: 'hook', format: 'text', value: ({ name }) => name },
  { ...column, id: 'tool', title: 'tool', format: 'text', value: ({ tool }) => tool },
  {
    ...column,
    id: 'durationMs',
    title: 'took',
    format: 'duration',
    value: (row) => row.durationMs,
  },
  { ...column, id: 'share', title: 'time', format: 'share', value: ({ share }) => share },
  { ...column, id: 'bytes', title: 'size', format: 'bytes', value: ({ bytes }) => bytes },
  { ...column, id: 'last', title: 'used', format: 'age', value: ({ last }) => last },
];
const pane = {
  columns,
  fields: [{ id: 'session', title: 'session', format: 'text', value: () => 'abc-1' }],
} as unknown as Pick<AnyPane, 'columns' | 'fields'>;

const rows: readonly Row[] = [
  {
    name: 'policy-guard',
    tool: 'Bash',
    durationMs: 2_500,
    share: 0.9,
    bytes: 2048,
    last: new Date(nowMs - 1_000),
  },
  {
    name: 'Format code',
    tool: 'Edit',
    durationMs: 40,
    share: 0.05,
    bytes: 20,
    last: new Date(nowMs - 600_000),
  },
  {
    name: 'quiet',
    tool: null,
    durationMs: null,
    share: 0.05,
    bytes: 12_345_678,
    last: new Date(nowMs - 7_200_000),
  },
];

function found(text: string): string[] {
  const parsed = parseFilter(text, pane);
  if ('error' in parsed) throw new Error(parsed.error);
  return rows
    .filter((row) => parsed.filter?.matches(row, { nowMs }) ?? true)
    .map((row) => row.name);
}

describe('a filter', () => {
  it.each([
    ['', ['policy-guard', 'Format code', 'quiet']],
    ['GUARD', ['policy-guard']],
    ['!guard', ['Format code', 'quiet']],
    ['"format code"', ['Format code']],
    ['guard bash', ['policy-guard']],
    ['guard edit', []],
    ['tool:ed', ['Format code']],
    ['tool=ed', []],
    ['hook=quiet', ['quiet']],
    ['!tool:bash !tool:edit', ['quiet']],
    ['dur>2s', ['policy-guard']],
    ['dur<=40ms', ['Format code']],
    ['took>=2.5s', ['policy-guard']],
    ['!dur>2s', ['Format code', 'quiet']],
    ['time<10%', ['Format code', 'quiet']],
    ['size>1MB', ['quiet']],
    ['used<5m', ['policy-guard']],
    ['session:abc', ['policy-guard', 'Format code', 'quiet']],
    ['session:x', []],
    ['12345678', ['quiet']],
    ['a>b', 'no column a; there are '],
    ['statsu:x', 'no column statsu; there are '],
    ['sise>1', 'no column sise; did you mean size? there are '],
    ['t:x', 'tool or durationMs or share'],
    ['dur>soon', 'durationMs> takes a time such as 500ms, 2s, 5m, not "soon"'],
    ['size>9007199254740993', 'not "9007199254740993"'],
    ['time>most', 'share> takes a share such as 80%'],
    ['tool:', 'something must follow tool:'],
    ['!', 'something must follow the !'],
    ['"open', 'a quote is not closed'],
  ])('%s', (text, expected) => {
    if (typeof expected === 'string') {
      const parsed = parseFilter(text, pane);
      expect('error' in parsed ? parsed.error : '').toContain(expected);
    } else expect(found(text)).toEqual(expected);
  });
});

it.each([
  ['took>2000', 'took>2000ms'],
  ['!dur<=1.5 timeout', '!dur<=1.5ms timeout'],
  ['dur>2s', 'dur>2s'],
  ['dur>0', 'dur>0ms'],
  ['size>1000', 'size>1000B'],
  ['time<0.07', 'time<7%'],
  ['time<80', 'time<8000%'],
  ['"took>5" took=5', '"took>5" took=5'],
])('writes a filter with the unit in which it compares: %s is %s', (typed, whole) => {
  expect(filterText(typed, pane.columns)).toEqual({ whole });
  expect(filterText(whole, pane.columns)).toEqual({ whole });
});

it.each([
  ['session:abc bogus:x tool:bash', 'session:abc'],
  ['bogus:x', ''],
  ['quiet tool:', 'quiet'],
  ['dur>2 "open', 'dur>2ms'],
])('knows the terms before the one that cannot be read: %s', (typed, before) => {
  expect(filterText(typed, [...pane.columns, ...(pane.fields ?? [])])).toMatchObject({ before });
});
