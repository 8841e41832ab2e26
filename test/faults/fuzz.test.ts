import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parseDuration, parseMoment } from '../../src/core/format/time.js';
import { ConsoleError } from '../../src/db/errors.js';
import { Recording } from '../../src/live/recording/recording.js';
import { readExport } from '../../src/maintenance/archive/export-file.js';
import { parseFilter } from '../../src/panes/contract/filter.js';
import { panes } from '../../src/panes/registry.js';
import { drawPane } from '../../src/ui/draw/pane.js';
import { plainText } from '../../src/ui/draw/styled-line.js';
import { Keymap } from '../../src/ui/keymap.js';
import { fc, keptSeeds } from '../helpers/seeds.js';
import { initialPaneView } from '../../src/ui/model/pane-view.js';

const runs = keptSeeds.map((seed) => ({ seed, numRuns: 300 }));
const folder = mkdtempSync(join(tmpdir(), 'trace-console-fuzz-'));
const file = join(folder, 'file');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pieces = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'status:',
    'p95>',
    '"',
    '-',
    '!',
    '>=',
    '=',
    '1e999',
    '__proto__:',
    ' ',
    '5m',
    'd',
  ),
);
const typed = fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join(''));
const header =
  '{"format":"trace-console recording 2","console":"1","startedAt":"","place":{"database":"","host":"","user":""}}\n';
const content = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.json().map((text) => Buffer.from(`${text}\n${text}\n`)),
  typed.map((text) => Buffer.from(header + text)),
);

it.each(runs)(
  'a filter, a span and a moment are read or refused, whatever is typed ($seed)',
  (run) => {
    fc.assert(
      fc.property(typed, fc.constantFrom(...panes), (text, pane) => {
        const parsed = parseFilter(text, pane);
        expect('error' in parsed ? parsed.error : 'filter' in parsed).toBeTruthy();
        const span = parseDuration(text);
        expect(span === undefined || Number.isFinite(span)).toBe(true);
        const moment = parseMoment(text, 0);
        expect(
          'error' in moment || moment.untilMs === undefined || Number.isFinite(moment.untilMs),
        ).toBe(true);
      }),
      run,
    );
  },
);

it.each(runs)(
  'a recording and an export are read or refused, whatever the file holds ($seed)',
  async (run) => {
    await fc.assert(
      fc.asyncProperty(content, async (bytes) => {
        writeFileSync(file, bytes);
        expect(() => Recording.open(file)).toThrow(ConsoleError);
        await expect(readAll()).rejects.toThrow(ConsoleError);
      }),
      { ...run, numRuns: 100 },
    );
  },
);

const recorded = new URL('../ui/screens/recording.jsonl', import.meta.url);

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null;

/** Values of a frame that are replaced: the way to each (which child, again and again), and by what. */
const changes = fc.array(
  fc.tuple(
    fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 8 }),
    fc.oneof(
      fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
      fc.constantFrom<Json>(
        { $: 'date', v: 'never' },
        { $: 'bigint', v: 'x' },
        { $: 'map', v: 7 },
        { $: 'error', v: null },
        { $: 'unheard of' },
        '\u001b]52;c;AAAA\u0007',
        '\u202e',
        -1,
        1e308,
      ),
    ),
  ),
  { minLength: 1, maxLength: 6 },
);

function changed(value: Json, way: readonly number[], by: Json): Json {
  const [step, ...rest] = way;
  if (step === undefined || typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return by;
  const [, child = null] = Object.entries(value).find(([name]) => name === key) ?? [];
  const next = changed(child, rest, by);
  return Array.isArray(value)
    ? value.map((one, at) => (String(at) === key ? next : one))
    : { ...value, [key]: next };
}

it.each(runs)(
  'a recording that is damaged behind its header is refused, or drawn without harm ($seed)',
  (run) => {
    const [head = '', whole = ''] = readFileSync(recorded, 'utf8').split('\n');
    const frame = JSON.parse(whole) as Json;
    let opened = 0;
    fc.assert(
      fc.property(changes, (made) => {
        const lines = made.reduce((value, [way, by]) => changed(value, way, by), frame);
        writeFileSync(file, `${head}\n${JSON.stringify(lines)}\n`);
        let recording: Recording;
        try {
          recording = Recording.open(file);
        } catch (error) {
          expect(error).toBeInstanceOf(ConsoleError);
          return;
        }
        opened += 1;
        const { state } = recording.moment(0);
        for (const pane of panes) {
          const snapshot = state.panes[pane.id];
          const drawn = drawPane({ ...place, pane, snapshot, keys: new Keymap([]) });
          // eslint-disable-next-line no-control-regex
          expect(drawn.map(plainText).join('\n')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
        }
      }),
      { ...run, numRuns: 30 },
    );
    // Else nothing of it was drawn.
    expect(opened).toBeGreaterThan(0);
  },
);

const place = {
  ...{ view: initialPaneView, number: '1', width: 100, height: 20, focused: true, age: undefined },
  ...{ utc: true, cadenceMs: 2_000 },
};

async function readAll(): Promise<number> {
  let count = 0;
  for await (const part of readExport(file)) count += part.kind === 'row' ? 1 : 0;
  // Nothing at all is no export either; who imports it finds no header.
  if (count === 0) throw new ConsoleError('file_failed', 'no rows');
  return count;
}
