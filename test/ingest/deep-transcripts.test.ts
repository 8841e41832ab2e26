import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { resolveSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { findFiles } from '../../src/ingest/discover.js';
import { importSessions } from '../../src/ingest/import.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { createTestDatabase } from '../helpers/database.js';
import { sessionWithSubagent } from './claude-folder.js';
import { chat } from './sources/chats.js';
import { session } from './sources/rollouts.js';

const depth = 100_000;
const list = `${'['.repeat(depth)}${']'.repeat(depth)}`;
const object = `${'{"content":'.repeat(depth)}1${'}'.repeat(depth)}`;

/** A line with the value at a place replaced by another text of JSON. */
function replaced(value: unknown, [key, ...rest]: readonly string[], by: string): string {
  if (key === undefined) return by;
  const parts = Object.entries(value as object).map(([name, inner]: [string, unknown]) => {
    const text = name === key ? replaced(inner, rest, by) : JSON.stringify(inner);
    return Array.isArray(value) ? text : `${JSON.stringify(name)}:${text}`;
  });
  return Array.isArray(value) ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
}

function* placesIn(value: unknown, way: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    yield [...way, key];
    yield* placesIn(inner, [...way, key]);
  }
}

/** The lines, and behind each one those in which a value at a place that is new is nested deeper than a stack. */
function hostile(lines: readonly unknown[]): string {
  const seen = new Set<string>();
  const texts = lines.flatMap((line) => {
    const places = [...placesIn(line)].filter((place) => !seen.has(place.join('.')));
    for (const place of places) seen.add(place.join('.'));
    return [
      JSON.stringify(line),
      ...places.map((place) => replaced(line, place, list)),
      ...places
        .filter((place) => /content|output|input|result|arguments/i.test(place.at(-1) ?? ''))
        .flatMap((place) =>
          [object, JSON.stringify(object)].map((by) => replaced(line, place, by)),
        ),
    ];
  });
  return texts.map((text) => `${text}\n`).join('');
}

const parsedLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

it('values that are nested 100,000 deep, wherever they stand in a transcript, do not stop its import', async () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-home-'));
  onTestFinished(() => fs.rmSync(home, { recursive: true, force: true }));
  const write = (file: string, text: string) => {
    const at = path.join(home, file);
    fs.mkdirSync(path.dirname(at), { recursive: true });
    fs.writeFileSync(at, text);
  };
  for (const [name, text] of sessionWithSubagent()) {
    write(`.claude/projects/-home-dev-shop/${name}`, hostile(parsedLines(text)));
  }
  const rollout = session();
  write(
    `.codex/sessions/2026/09/21/rollout-2026-09-21T14-13-20-${rollout.id}.jsonl`,
    hostile(rollout.lines),
  );
  write('.gemini/tmp/shop/chats/session-2026-09-21T00-00-s1.jsonl', hostile(chat('s1')));
  const test = await createTestDatabase();
  const source = resolveSource({ url: test.url });
  if (source.kind !== 'server') throw new Error('no server');
  const database = await Database.open(source);
  onTestFinished(() => database.close());
  const run = importSessions(await findFiles({ environment: {}, home }), {
    database,
    recorder: new Recorder(database),
  });
  for (let step = await run.next(); !step.done; step = await run.next()) continue;
  const { rows } = await test.query<{ source: string }>(
    `SELECT DISTINCT context ->> 'agent' AS source FROM execution_traces ORDER BY 1`,
  );
  expect(rows.map((row) => row.source)).toEqual(['claude-code', 'codex', 'gemini']);
});
