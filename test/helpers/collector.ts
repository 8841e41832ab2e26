import { expect, vi } from 'vitest';
import { collectorOf } from '../../src/ingest/collector/status-file.js';

/** Ends the collector of a spool and waits until it is gone: one that still closes would start its embedded database anew. */
export async function endCollector(spool: string): Promise<void> {
  const pid = collectorOf(spool)?.pid;
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
  await vi.waitFor(() => expect(collectorOf(spool)).toBeUndefined(), 30_000);
}
