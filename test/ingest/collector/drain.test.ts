import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { BatchSize, SpoolDrain, type RecordWriter } from '../../../src/ingest/collector/drain.js';
import { appendFrame, segmentName } from '../../../src/ingest/spool/append.js';
import { encodeFrame, type SpoolRecord } from '../../../src/ingest/spool/frame.js';
import { listSegments } from '../../../src/ingest/spool/reader.js';
import { agentEvents } from '../../../src/maintenance/doctor/checks/agents.js';
import { diagnose } from '../../maintenance/doctor/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';

let folder: string;
let test: TestDatabase;
let database: Database;
beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-drain-'));
  test = await createTestDatabase();
  await test.query('CREATE TABLE seen (id text, number int)');
  const source = resolveSource({ url: test.url });
  if (source.kind !== 'server') throw new Error('no server');
  database = await Database.open(source);
});
afterEach(async () => {
  await database.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Stands for the recorder: a row a record, without any care for doubles. */
const write: RecordWriter['write'] = (records, _, commit) =>
  database.transaction({}, async (tx) => {
    for (const { id, payload } of records) {
      await tx.query('INSERT INTO seen VALUES ($1, $2::text::int)', [id, String(payload)]);
    }
    await commit(tx, { unknown: [], failed: [] });
  });

function append(...payloads: unknown[]): string[] {
  return payloads.map((payload, index) => {
    const id = randomUUID();
    const record: SpoolRecord = {
      id,
      at: `${Date.now() + index}000000`,
      cli: 'claude',
      payload,
      bytes: 1,
    };
    appendFrame(folder, encodeFrame(record));
    return id;
  });
}

const spool = () => ({ folder, id: '5b0d4d0a-7d5f-4d43-9a3c-0f8f5b5b7f10', host: 'here' });
const drain = (writer = write) =>
  new SpoolDrain(database, spool(), { write: writer, prepare: () => Promise.resolve() });

async function all(one: SpoolDrain, most = 100): Promise<number> {
  let sum = 0;
  for (;;) {
    const { records, torn } = await one.next(most);
    if (records.length + torn === 0) return sum;
    sum += records.length;
  }
}

async function seen(): Promise<string[]> {
  const { rows } = await test.query<{ id: string }>('SELECT id FROM seen');
  return rows.map(({ id }) => id).sort();
}

it('takes larger batches into the embedded database while it is behind, and small ones again when it has caught up', () => {
  const size = new BatchSize({ embedded: true });
  const sizes = [50, 100, 200, 400, 400, 30, 50].map((records) => {
    const { now } = size;
    size.took(Math.min(records, now));
    return now;
  });
  expect(sizes).toEqual([50, 100, 200, 400, 400, 400, 50]);
});

describe('draining a spool', () => {
  it('writes each record once, over batches and from one collector to the next', async () => {
    const first = append(1, 2, 3, 4, 5);
    expect(await all(drain(), 2)).toBe(5);
    const second = append(6);
    expect(await all(drain())).toBe(1);
    expect(await all(drain())).toBe(0);
    expect(await seen()).toEqual([...first, ...second].sort());
    const { rows } = await test.query(
      'SELECT cli, host, events::int FROM trace_console.spool_sources',
    );
    expect(rows).toEqual([{ cli: 'claude', host: 'here', events: 6 }]);
  });

  it('writes nothing of a batch that failed, and all of it later', async () => {
    const ids = append(1, 2);
    let away = true;
    const moody: RecordWriter['write'] = (records, key, commit) =>
      write(records, key, async (tx, result) => {
        await commit(tx, result);
        if (away) throw new Error('the network is gone');
      });
    const one = drain(moody);
    await expect(one.next(10)).rejects.toThrow();
    expect(await seen()).toEqual([]);
    away = false;
    await all(one);
    expect(await seen()).toEqual(ids.sort());
  });

  it('puts a record aside that the database refuses, and writes those around it', async () => {
    const [a = '', bad = '', ...rest] = append(1, 'no number', 3, 4, 5, 6, 7);
    const one = drain();
    await all(one);
    expect(await seen()).toEqual([a, ...rest].sort());
    expect(await one.countQuarantined()).toBe(1);
    const { rows } = await test.query<{ record_id: string; error: string; record: string }>(
      'SELECT record_id, error, record FROM trace_console.quarantined_events',
    );
    expect(rows).toMatchObject([
      { record_id: bad, error: expect.stringContaining('integer') as string },
    ]);
    expect(JSON.parse(rows[0]?.record ?? '')).toMatchObject({ payload: 'no number' });
    // Whoever looks for what is wrong is told.
    const { severity, evidence, items } = await diagnose(test.url, agentEvents);
    expect(severity).toBe('warning');
    expect(evidence).toMatch(/^1 event could not be written: .*integer/);
    expect(items).toEqual([expect.stringMatching(/^claude on here: \d events, 0 unknown/)]);
  });

  it('lets one of two collectors of a spool go on behind the other, with nothing twice', async () => {
    const ids = append(...Array.from({ length: 60 }, (_, index) => index));
    const both = [drain(), drain()];
    await Promise.all(
      both.map(async (one) => {
        for (;;) {
          const drained = await one.next(7).catch((error: unknown) => {
            if ((error as { code?: string }).code !== 'busy') throw error;
            return undefined;
          });
          if (drained?.records.length === 0) return;
        }
      }),
    );
    expect(await seen()).toEqual(ids.sort());
  });

  it('removes what was read, and forgets how far', async () => {
    const old = path.join(folder, segmentName(Date.now() - 3_600_000));
    append(1);
    const [segment = ''] = listSegments(folder);
    fs.renameSync(path.join(folder, segment), old);
    const one = drain();
    await one.tidy();
    expect(listSegments(folder)).toHaveLength(1);
    await all(one);
    await one.tidy();
    expect(listSegments(folder)).toEqual([]);
    const { rows } = await test.query('SELECT * FROM trace_console.spool_offsets');
    expect(rows).toEqual([]);
  });

  it('goes on where the database was emptied', async () => {
    append(1, 2);
    await all(drain());
    await test.query('DROP SCHEMA trace_console CASCADE');
    expect(await all(drain())).toBe(2);
  });
});
