import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { parseDuration } from '../../src/core/format/duration.js';
import { parseMoment } from '../../src/core/format/moment.js';
import { ConsoleError } from '../../src/db/errors.js';
import { Recording } from '../../src/live/recording/recording.js';
import { readExport } from '../../src/maintenance/archive/export-file.js';
import { parseFilter } from '../../src/panes/contract/filter.js';
import { panes } from '../../src/panes/registry.js';

// A seed that once found something is added here, and stays.
const runs = [1, 20260701].map((seed) => ({ seed, numRuns: 300 }));
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
const header = '{"format":"trace-console-recording","version":2}\n{"kind":"header"}\n';
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

async function readAll(): Promise<number> {
  let count = 0;
  for await (const part of readExport(file)) count += part.kind === 'row' ? 1 : 0;
  // Nothing at all is no export either; who imports it finds no header.
  if (count === 0) throw new ConsoleError('file_failed', 'no rows');
  return count;
}
