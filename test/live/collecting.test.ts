import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { silenceOf, targetOf } from '../../src/ingest/collector/status-file.js';
import { openCollectorTables } from '../../src/ingest/collector/tables.js';
import { Collector } from '../../src/ingest/collector/collector.js';
import { recordWriter } from '../../src/ingest/collector/write-records.js';
import { Recorder } from '../../src/ingest/recorder.js';
import { appendFrame } from '../../src/ingest/spool/append.js';
import { encodeFrame } from '../../src/ingest/spool/frame.js';
import { systemClock } from '../../src/core/clock.js';
import { placeOfThisProcess, processStart } from '../../src/core/folder-lock.js';
import {
  CollectingReader,
  GrownTranscripts,
  SpoolWatch,
  type Collecting,
} from '../../src/live/collecting.js';
import { findFiles } from '../../src/ingest/discover.js';
import { importSessions } from '../../src/ingest/import.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase } from '../panes/open.js';
import { FakeClock } from './fake-clock.js';

async function opened(): Promise<{ database: Database; folder: string; url: string }> {
  const { url } = await createTestDatabase();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-spool-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  return { database: await openDatabase(url), folder, url };
}

/** A new reader keeps nothing of the reading before. */
const read = (database: Database, folder: string): Promise<Collecting | null> =>
  database.transaction({ readOnly: true }, (tx) =>
    new CollectingReader(database, systemClock, folder).read(tx),
  );

const prompt = (id: string) =>
  encodeFrame({
    ...{ id, cli: 'claude', bytes: 100, at: String(BigInt(Date.now()) * 1_000_000n) },
    payload: { hook_event_name: 'UserPromptSubmit', session_id: id, prompt: 'x', prompt_id: 'p' },
  });

test('tells of the collector of this machine: what it has written, what waits, that it has ended', async () => {
  const { database, folder } = await opened();
  expect(await read(database, folder)).toBeNull();
  appendFrame(folder, prompt('a'), Infinity);
  const ended = new AbortController();
  const collector = Collector.open({
    database,
    folder,
    target: targetOf(database),
    signal: ended.signal,
    write: recordWriter(database, new Recorder(database)),
  });
  const following = collector?.follow();
  await expect
    .poll(() => read(database, folder), { timeout: 50_000 })
    .toMatchObject({
      state: 'following',
      waitingBytes: 0,
      eventAgeMs: expect.any(Number) as number,
    });
  ended.abort();
  await following;
  appendFrame(folder, prompt('b'), Infinity);
  const after = await read(database, folder);
  expect(after).toMatchObject({ state: 'ended', quarantined: 0 });
  expect(after?.waitingBytes).toBeGreaterThan(50);
  // Another database is none of its business.
  const { database: other } = await opened();
  await other.transaction({}, openCollectorTables);
  expect(await read(other, folder)).toBeNull();
});

test('what another machine has collected, and what could not be written, is told from the tables', async () => {
  const { database, folder } = await opened();
  await database.transaction({}, async (tx) => {
    await openCollectorTables(tx);
    await tx.query(
      `INSERT INTO trace_console.spool_sources (target_schema, spool, cli, last_event_at)
       VALUES (current_schema(), gen_random_uuid(), 'claude', now() - interval '90 seconds')`,
    );
    await tx.query(
      `INSERT INTO trace_console.quarantined_events (target_schema, spool, record_id, cli, received_at, error)
       SELECT current_schema(), gen_random_uuid(), n::text, 'claude', now(), 'refused' FROM generate_series(1, 3) AS n`,
    );
  });
  const found = await read(database, folder);
  expect(found).toMatchObject({ quarantined: 3, waitingBytes: 0 });
  expect(found?.state).toBeUndefined();
  expect(found?.eventAgeMs).toBeGreaterThan(89_000);
});

test('events in the spool are told of while they come in, and for as long as they may be on their way', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-spool-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true }));
  const clock = new FakeClock();
  let told = 0;
  const watch = new SpoolWatch(clock, () => (told += 1), folder);
  const toldIn = async (ms: number) => {
    const before = told;
    await clock.advance(ms);
    return told - before;
  };
  const event = () =>
    appendFrame(folder, encodeFrame({ id: 'r', at: '1000000', cli: 'claude', bytes: 0 }));
  event();
  watch.isFollowed = true;
  // What is there already was shown already.
  expect(await toldIn(2_000)).toBe(0);
  event();
  expect(await toldIn(250)).toBe(1);
  expect(await toldIn(1_000)).toBe(4);
  expect(await toldIn(5_000)).toBeLessThan(3);
  watch.isFollowed = false;
  event();
  expect(await toldIn(5_000)).toBe(0);
});

test('transcripts that have grown since they were imported are told of, but not those that a collector reads on', async () => {
  const { database, folder } = await opened();
  const file = (name: string) => path.join(folder, `${name}.jsonl`);
  const line = (session: string, text: string) =>
    `${JSON.stringify({
      ...{ type: 'user', uuid: text, sessionId: session, timestamp: new Date().toISOString() },
      message: { role: 'user', content: text },
    })}\n`;
  for (const name of ['one', 'two']) fs.writeFileSync(file(name), line(name, 'hello'));
  const run = importSessions(await findFiles({ paths: [folder] }), {
    database,
    recorder: new Recorder(database),
  });
  while (!(await run.next()).done);
  const clock = new FakeClock();
  const grown = new GrownTranscripts(database, clock);
  const look = async (isFollowed = false) => {
    await clock.advance(31_000);
    const tx = { readOnly: true } as const;
    return (await database.transaction(tx, (it) => grown.read(it, isFollowed)))?.files;
  };
  expect(await look()).toBeUndefined();
  fs.appendFileSync(file('one'), line('one', 'more'));
  fs.rmSync(file('two'));
  const later = new Date(Date.now() + 10_000);
  fs.utimesSync(file('one'), later, later);
  expect(await look()).toBe(1);
  // A collector reads on in what it follows: only what stays behind is told of.
  const fresh = new GrownTranscripts(database, clock);
  const followed = async () => {
    await clock.advance(31_000);
    return (await database.transaction({ readOnly: true }, (it) => fresh.read(it, true)))?.files;
  };
  expect([await followed(), await followed()]).toEqual([undefined, 1]);
  const again = importSessions(await findFiles({ paths: [folder] }), {
    database,
    recorder: new Recorder(database),
  });
  while (!(await again.next()).done);
  expect([await look(), await followed()]).toEqual([undefined, undefined]);
});

test('takes what is damaged, or cannot be read, for no collector', async () => {
  const { database, folder } = await opened();
  const target = targetOf(database);
  for (const text of [
    'null',
    '[]',
    '{}',
    '',
    '7',
    JSON.stringify({ pid: 1, target, state: 'x' }),
  ]) {
    fs.writeFileSync(path.join(folder, 'collector.json'), text);
    expect(await read(database, folder)).toBeNull();
  }
  fs.writeFileSync(
    path.join(folder, 'collector.json'),
    JSON.stringify({ pid: 1, target, state: 'following', offsets: {}, lastEvents: {} }),
  );
  fs.symlinkSync('collector.lock', path.join(folder, 'collector.lock'));
  expect(await read(database, folder)).toBeNull();
});

test('a collector whose process lives and gives no sign is told of, and is not called collecting', async () => {
  const { database, folder, url } = await opened();
  const holder = spawn('sleep', ['600'], { stdio: 'ignore' });
  onTestFinished(() => void holder.kill('SIGKILL'));
  const { pid = 0 } = holder;
  const status = {
    pid,
    target: targetOf(database),
    state: 'following',
    offsets: {},
    lastEvents: {},
  };
  fs.writeFileSync(path.join(folder, 'collector.json'), JSON.stringify(status));
  const lock = path.join(folder, 'collector.lock');
  const started = processStart(pid);
  const identity = { pid, started, place: placeOfThisProcess(), nonce: 'n', socketFolder: '' };
  fs.writeFileSync(lock, JSON.stringify(identity));
  expect(await read(database, folder)).toMatchObject({ state: 'following' });
  const ask = async (words: string) =>
    runCli(words.split(' '), { env: { TRACE_CONSOLE_SPOOL: folder } });
  expect(await ask('collect status')).toMatchObject({ exitCode: 0 });
  const longAgo = new Date(Date.now() - 45_000);
  fs.utimesSync(lock, longAgo, longAgo);
  expect(await read(database, folder)).toMatchObject({
    state: 'waiting',
    reason: `it does not answer (process ${pid})`,
  });
  const told = await ask('collect status');
  expect(told.stdout).toMatch(
    new RegExp(
      `^Collector +does not answer, process ${pid}\nSilent +for \\S+\\. It is stopped, or hangs: kill -CONT ${pid};`,
    ),
  );
  expect(told.exitCode).toBe(1);
  // What is wrong besides is told behind it.
  fs.writeFileSync(path.join(folder, 'dropped'), '...');
  const found = await ask(`doctor --check agent-hooks --url ${url}`);
  const silent = `The collector does not answer (process ${pid})`;
  expect(found.stdout).toContain(silent);
  const whole = await ask(`doctor --check agent-hooks --json --url ${url}`);
  expect(JSON.parse(whole.stdout)).toMatchObject({
    checks: [
      {
        items: [
          expect.stringContaining(silent) as string,
          '3 events were dropped: the spool was full',
        ],
      },
    ],
  });
  // Of another machine, or damaged, where 0 would stand for it: nobody is told to end a process of here.
  for (const other of [JSON.stringify({ ...identity, place: 'elsewhere boot pid' }), '']) {
    fs.writeFileSync(lock, other);
    fs.utimesSync(lock, longAgo, longAgo);
    expect(silenceOf(folder)).toBeUndefined();
  }
});
