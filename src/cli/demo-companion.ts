import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTextFile } from '../core/folders.js';
import { createFolder } from '../core/create-folder.js';
import { FolderLock } from '../core/folder-lock.js';
import type { Database } from '../db/database.js';
import type { Filling } from '../ui/context.js';
import { folderFailure, resolveDataFolder } from '../embedded/index.js';

/** The embedded database of `--demo`, beside the user's own: nothing of the demo gets into that. */
export function demoDataFolder(): string {
  return path.join(path.dirname(resolveDataFolder()), 'demo');
}

/** The length of its history, and traces a second: what the last two days of that have, in some thousand traces. */
export const demoTraffic = { backfill: '7d', rate: 0.06 };

export type Traffic = {
  /** How long nothing was written before this start, ms; undefined: there was nothing yet. */
  pauseMs: number | undefined;
  stop(): void;
};

/**
 * Opens the demo's database, and starts a process of its own for its traffic, which fills in history beside it where that
 * is not whole yet. It ends with `stop`, and with this process however that ends. One process makes traffic at a time:
 * that of a further console waits for its turn. The first time both start at once.
 */
export async function openWithTraffic(
  open: () => Promise<Database>,
  onFilling: (filling: Filling) => void,
): Promise<Traffic & { database: Database }> {
  const isFirst = !fs.existsSync(demoDataFolder());
  // Said before anything is written: an empty pane then is no answer.
  if (isFirst) {
    const nothing = { filled: 0, since: Date.now() };
    onFilling(nothing);
    inTrafficFolder(() => writeProgress(nothing));
  }
  const first = isFirst ? startTraffic(onFilling) : undefined;
  try {
    const database = await open();
    if (first) return { database, pauseMs: undefined, stop: first };
    const pauseMs = await readPause(database);
    return { database, pauseMs, stop: startTraffic(onFilling) };
  } catch (error) {
    first?.();
    throw error;
  }
}

function startTraffic(onFilling: (filling: Filling) => void): () => void {
  const [program = ''] = process.argv.slice(1);
  const { backfill, rate } = demoTraffic;
  const words = ['--demo', '--continue', '--backfill', backfill, '--rate', String(rate)];
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, 'demo', ...words],
    // The channel is how it learns that the console is gone, and tells how far the history is.
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  // A program that has ended writes no more of its history, whole or not.
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
    // It ends by that, after it has closed what it had open. A signal beside it would end it at once.
    if (child.connected) child.disconnect();
  };
}

async function readPause(database: Database): Promise<number | undefined> {
  if (!database.capabilities.tables.execution_traces) return undefined;
  const [row] = await database.read<{ ageMs: number | null }>(
    `SELECT (1000 * date_part('epoch', now() - max(GREATEST(created_at, updated_at))))::float8 AS "ageMs"
     FROM (SELECT created_at, updated_at FROM execution_traces ORDER BY started_at DESC LIMIT 20) AS newest`,
  );
  return row?.ageMs ?? undefined;
}

/** What the processes of several consoles share: whose turn it is, and how far the history is. */
const trafficFolder = () => path.dirname(demoDataFolder());
const progressFile = () => path.join(trafficFolder(), 'demo-traffic.json');

/** @throws ConsoleError where nothing can be written there */
function inTrafficFolder<Result>(write: () => Result): Result {
  const folder = trafficFolder();
  try {
    createFolder(folder);
    return write();
  } catch (cause) {
    throw folderFailure(folder, cause, { code: 'file_failed', setting: 'XDG_DATA_HOME' });
  }
}

/** Each look reads the lock, and whether its process lives: a turn is waited for as long as another console is open. */
const lookAgainMs = 2_000;
/** Tells those in another container that this process lives. */
const touchEveryMs = 10_000;

export type TrafficTurn = {
  /** How far the history is, for the consoles whose processes wait. */
  tell(filling: Filling): void;
  /** Nothing has to be filled in. */
  isWhole(): void;
  end(): void;
};

/**
 * Waits until no other process makes the demo's traffic, and says meanwhile how far the history of that one is.
 *
 * @returns undefined where the signal came first
 */
export async function takeTurn(
  onFilling: (filling: Filling) => void,
  signal: AbortSignal,
): Promise<TrafficTurn | undefined> {
  let told = '';
  while (!signal.aborted) {
    const lock = inTrafficFolder(() =>
      FolderLock.acquire(trafficFolder(), '', 'demo-traffic.lock'),
    );
    if (lock) return turnOf(lock);
    const progress = readProgress();
    if (progress !== told) onFilling(progress === '' ? whole() : (JSON.parse(progress) as Filling));
    told = progress;
    await sleep(lookAgainMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

const whole = (): Filling => ({ filled: 1, since: Date.now() });

function turnOf(lock: FolderLock): TrafficTurn {
  const timer = setInterval(() => lock.touch(), touchEveryMs).unref();
  const isWhole = () => fs.rmSync(progressFile(), { force: true });
  return {
    tell: (filling) => (filling.filled >= 1 ? isWhole() : writeProgress(filling)),
    isWhole,
    end() {
      clearInterval(timer);
      lock.release();
    },
  };
}

/** As the file has it; empty: no history is being written. */
function readProgress(): string {
  try {
    return readTextFile(progressFile());
  } catch {
    return '';
  }
}

/** Whole or not at all: others read it at any time. */
function writeProgress(filling: Filling): void {
  const draft = `${progressFile()}.${process.pid}`;
  fs.writeFileSync(draft, JSON.stringify(filling));
  fs.renameSync(draft, progressFile());
}
