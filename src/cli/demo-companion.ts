import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Database } from '../db/database.js';
import { resolveDataFolder } from '../embedded/folder/paths.js';

/** The embedded database of `--demo`, beside the user's own: nothing of the demo gets into that. */
export function demoDataFolder(): string {
  return path.join(path.dirname(resolveDataFolder()), 'demo');
}

const history = { length: '7d', traces: 1_500 };
const rate = 4;

/** What the companion tells the console. */
export const historyWritten = 'history written';

/**
 * Starts the traffic of `--demo` in a process of its own, which fills in history first where there
 * is none. It ends with the returned function, and with this process however that ends. Where
 * another console's traffic is running, nothing is started.
 *
 * @param onHistory the history is written
 */
export async function startDemoCompanion(
  database: Database,
  onHistory: () => void,
): Promise<() => void> {
  const { filled, flowing } = await readTraffic(database);
  if (flowing) return () => undefined;
  const backfill = filled ? [] : ['--backfill', history.length, '--traces', String(history.traces)];
  const [program = ''] = process.argv.slice(1);
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, 'demo', '--demo', ...backfill, '--rate', String(rate)],
    // The channel is how it learns that the console is gone, and tells that the history is there.
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  child.on('error', () => undefined);
  child.on('message', (message) => {
    if (message === historyWritten) onHistory();
  });
  child.unref();
  child.channel?.unref();
  return () => void child.kill('SIGTERM');
}

async function readTraffic(database: Database): Promise<{ filled: boolean; flowing: boolean }> {
  if (!database.capabilities.tables.execution_traces) return { filled: false, flowing: false };
  const [row] = await database.read<{ filled: boolean; flowing: boolean }>(
    `SELECT EXISTS (SELECT FROM execution_traces) AS filled,
       COALESCE(max(created_at) > now() - interval '5 seconds', false) AS flowing
     FROM (SELECT created_at FROM execution_traces ORDER BY started_at DESC LIMIT 20) AS newest`,
  );
  return row ?? { filled: false, flowing: false };
}
