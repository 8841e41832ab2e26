import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { SpoolDrain } from '../../../src/ingest/collector/drain.js';
import { recordWriter } from '../../../src/ingest/collector/write-records.js';
import { OtlpReceiver } from '../../../src/ingest/otlp/receiver.js';
import type { Recorder } from '../../../src/ingest/recorder.js';

export type Receiving = {
  receiver: OtlpReceiver;
  /** Its spool; files of the test may stand there, too. */
  folder: string;
  /** What the collector does with the spool, so many records at a time. */
  drain: (database: Database, recorder: Recorder, most: number) => Promise<void>;
};

/** Each test of the file has a receiver of its own, whose spool lies in a folder of its own. */
export function receiveForEach(): Receiving {
  const receiving = {} as Receiving;
  beforeEach(async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-otlp-'));
    const receiver = await OtlpReceiver.open({ host: '127.0.0.1', port: 0, folder });
    const spool = { folder, id: randomUUID(), host: 'here' };
    Object.assign(receiving, {
      receiver,
      folder,
      async drain(database, recorder, most) {
        const one = new SpoolDrain(database, spool, recordWriter(database, recorder));
        while ((await one.next(most)).records.length > 0);
      },
    } satisfies Receiving);
  });
  afterEach(async () => {
    await receiving.receiver.close();
    fs.rmSync(receiving.folder, { recursive: true, force: true });
  });
  return receiving;
}
