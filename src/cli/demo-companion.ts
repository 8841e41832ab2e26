import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Database } from '../db/database.js';
import type { Filling } from '../ui/context.js';
import { resolveDataFolder } from '../embedded/index.js';

/** The embedded database of `--demo`, beside the user's own: nothing of the demo gets into that. */
export function demoDataFolder(): string {
  return path.join(path.dirname(resolveDataFolder()), 'demo');
}

const historyLength = '7d';
/** Traces a second: what the last hours of such a history have, in some thousand traces. */
const rate = 0.15;

export type Traffic = {
  /** How long nothing was written since the last traffic, ms; undefined: there was none, or it is another console's. */
  pauseMs: number | undefined;
  stop(): void;
};

/**
 * Opens the demo's database, and starts its traffic in a process of its own, which fills in history beside it where that
 * is not whole yet. It ends with `stop`, and with this process however that ends. Where another console's traffic is
 * running, nothing is started. The first time both start at once: there is nothing that could be running.
 */
export async function openWithTraffic(
  open: () => Promise<Database>,
  onFilling: (filling: Filling) => void,
): Promise<Traffic & { database: Database }> {
  const isFirst = !existsSync(demoDataFolder());
  // Said before anything is written: an empty pane then is no answer.
  if (isFirst) onFilling({ filled: 0, since: Date.now() });
  const first = isFirst ? startTraffic(onFilling) : undefined;
  try {
    const database = await open();
    if (first) return { database, pauseMs: undefined, stop: first };
    const { ageMs, flowing } = await readTraffic(database);
    if (flowing) return { database, pauseMs: undefined, stop: () => undefined };
    return { database, pauseMs: ageMs ?? undefined, stop: startTraffic(onFilling) };
  } catch (error) {
    first?.();
    throw error;
  }
}

function startTraffic(onFilling: (filling: Filling) => void): () => void {
  const [program = ''] = process.argv.slice(1);
  const words = ['--demo', '--continue', '--backfill', historyLength, '--rate', String(rate)];
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, 'demo', ...words],
    // The channel is how it learns that the console is gone, and tells how far the history is.
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  // Who ended before its history was whole fills no more.
  let isStopped = false;
  const ended = () => {
    if (!isStopped) onFilling({ filled: 1, since: Date.now() });
  };
  child.on('error', ended);
  child.on('exit', ended);
  child.on('message', (message) => onFilling(message as Filling));
  child.unref();
  child.channel?.unref();
  return () => {
    isStopped = true;
    child.kill('SIGTERM');
  };
}

/** One that is alive writes every few seconds; one that ended has cancelled what was open. */
async function readTraffic(
  database: Database,
): Promise<{ ageMs: number | null; flowing: boolean }> {
  if (!database.capabilities.tables.execution_traces) return { ageMs: null, flowing: false };
  const [row] = await database.read<{ ageMs: number | null; flowing: boolean }>(
    `SELECT (1000 * date_part('epoch', now() - max(seen)))::float8 AS "ageMs",
       COALESCE(max(seen) > now() - interval '15 seconds'
         AND NOT bool_or(ended AND seen > now() - interval '15 seconds'), false) AS flowing
     FROM (
       SELECT GREATEST(created_at, updated_at) AS seen,
         COALESCE(context ->> 'cancelled_by' = 'end of the demo', false) AS ended
       FROM execution_traces ORDER BY started_at DESC LIMIT 20) AS newest`,
  );
  return row ?? { ageMs: null, flowing: false };
}
