import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Latencies of single inserts, in milliseconds. */
export type InsertLatency = { inserts: number; p50: number; p99: number; worst: number };

const insert = `
  WITH trace AS (
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
    SELECT id, id, id, 'user_prompt', 'completed' FROM gen_random_uuid() AS id RETURNING id)
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status)
  SELECT id, 'PreToolUse', 'bench', 'Bash', 'completed' FROM trace`;

/**
 * Writes a trace with a hook a hundred times a second over one connection, from the start to the end of `work`. An insert
 * that is late for its turn is counted from its turn, so that a stall is not hidden by the inserts that it delayed.
 */
export async function insertBeside(
  url: string,
  work: () => Promise<unknown>,
): Promise<InsertLatency> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const latencies: number[] = [];
  const stop = new AbortController();
  const writer = (async () => {
    const start = performance.now();
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const turn = start + n * 10;
      const early = turn - performance.now();
      if (early > 0) await sleep(early);
      const begun = Math.min(performance.now(), turn);
      await client.query(insert);
      latencies.push(performance.now() - begun);
    }
  })();
  try {
    await work();
  } finally {
    stop.abort();
    await writer;
    await client.end();
  }
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { inserts: latencies.length, p50: at(0.5), p99: at(0.99), worst: at(1) };
}
