import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { ensureCollector } from '../../../src/ingest/collector/collector.js';
import { readStatus } from '../../../src/ingest/collector/status-file.js';
import { noConfigFile } from '../../helpers/cli.js';
import { endCollector } from '../../helpers/collector.js';
import { createTestDatabase } from '../../helpers/database.js';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-launch-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

it('starts one collector, on the database it is given, and no second one', async () => {
  const test = await createTestDatabase();
  const spool = path.join(folder, 'spool');
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    ...noConfigFile,
    TRACE_CONSOLE_SPOOL: spool,
  };
  const target = { kind: 'url', url: test.url } as const;
  const program = path.join(inject('programs'), 'main.js');
  expect(ensureCollector(target, program, environment)).toBe('started');
  try {
    await vi.waitFor(() => expect(readStatus(spool)?.state).toBe('following'), 30_000);
    expect(ensureCollector(target, program, environment)).toBe('running');
    expect(readStatus(spool)?.target).toContain(test.name);
  } finally {
    await endCollector(spool);
  }
});
