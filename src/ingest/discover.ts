import { isObject, readNumber } from '../core/values.js';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ConsoleError } from '../db/errors.js';
import type { TranscriptFile, TranscriptSource } from './sources/source.js';
import { claude } from './sources/claude.js';
import { codex } from './sources/codex.js';
import { gemini } from './sources/gemini.js';

/** One file to read, with its size (bytes) and when it was last written (milliseconds since 1970). */
export type FoundFile = {
  source: TranscriptSource;
  file: TranscriptFile;
  size: number;
  changedAt: number;
};

/** What one program has left on this machine. */
export type Found = {
  source: TranscriptSource;
  sessions: number;
  files: number;
  bytes: number;
  oldestAt: number;
  newestAt: number;
};

export type FindOptions = {
  /** Only of this program; default: of every program that is known. */
  source?: TranscriptSource | undefined;
  /** Files and folders to look through instead of the programs' own. */
  paths?: readonly string[];
  /** Leaves out what was not written since (milliseconds since 1970). */
  since?: number | undefined;
  environment?: Readonly<Record<string, string | undefined>>;
  home?: string;
  /** Hears of folders that cannot be read; they are passed over. */
  onUnreadable?: ((unreadable: Unreadable) => void) | undefined;
};

/** A file or folder that cannot be read, and why. */
export type Unreadable = { path: string; reason: string };

/** Limits the walk, in case a named folder holds something else than transcripts. */
const deepest = 8;

/**
 * The transcripts on this machine, the oldest first, each session's own file before those of its subagents.
 *
 * @throws ConsoleError `usage` for a named path that is not there
 */
export async function findFiles(options: FindOptions = {}): Promise<FoundFile[]> {
  const { environment = process.env, home = os.homedir(), since = 0 } = options;
  const sources = options.source ? [options.source] : transcriptSources;
  const found = new Map<string, FoundFile>();
  for (const source of sources) {
    const roots = options.paths?.length ? options.paths : source.folders(environment, home);
    // Each source looks through the same folders where these are named.
    const onUnreadable =
      source === sources[0] || !options.paths?.length ? options.onUnreadable : undefined;
    const visit = { source, seen: new Map<string, number>(), onUnreadable };
    for (const root of roots) {
      for await (const file of walk(visit, path.resolve(root), 0)) {
        if (file.changedAt >= since && !found.has(file.file.path)) found.set(file.file.path, file);
      }
    }
  }
  for (const named of options.paths ?? []) {
    await fs.access(named).catch((cause: unknown) => {
      throw new ConsoleError('usage', `There is no file or folder ${named}.`, {
        hint: 'Give a transcript, or a folder with transcripts; without one the programs’ own folders are read.',
        cause,
      });
    });
  }
  return [...found.values()].toSorted(
    (a, b) =>
      Number(a.file.subagent !== undefined) - Number(b.file.subagent !== undefined) ||
      a.changedAt - b.changedAt ||
      (a.file.path < b.file.path ? -1 : 1),
  );
}

type Visit = Pick<FindOptions, 'onUnreadable'> & {
  source: TranscriptSource;
  /** Files and folders, by device and number, and how deep they lie: links may lead to one of them again, or in circles. */
  seen: Map<string, number>;
};

async function* walk(visit: Visit, at: string, depth: number): AsyncGenerator<FoundFile> {
  const { source, seen } = visit;
  // Numbers of files may be beyond 2^53.
  const stat = await fs.stat(at, { bigint: true }).catch((error: unknown) => {
    // A link to nowhere, or what has gone meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      visit.onUnreadable?.({ path: at, reason: reasonOf(error) });
    }
    return undefined;
  });
  if (stat === undefined) return;
  const identity = `${stat.dev}:${stat.ino}`;
  if (stat.isFile()) {
    // Under another name it may be no transcript: only one that is taken counts as seen.
    const file = seen.has(identity) ? undefined : await describe(source, at);
    if (!file) return;
    seen.set(identity, depth);
    yield { source, file, size: readNumber(`${stat.size}`), changedAt: stat.mtime.getTime() };
    return;
  }
  // By a shorter way more of it is in reach.
  if (!stat.isDirectory() || depth > deepest || (seen.get(identity) ?? Infinity) <= depth) return;
  seen.set(identity, depth);
  const names = await fs.readdir(at).catch((error: unknown) => {
    visit.onUnreadable?.({ path: at, reason: reasonOf(error) });
    return [];
  });
  for (const name of names.toSorted()) yield* walk(visit, path.join(at, name), depth + 1);
}

/** Why the system refuses a file: `permission denied`. */
export const reasonOf = (error: unknown): string =>
  /^[A-Z]+: ([^,]+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? String(error);

async function describe(source: TranscriptSource, at: string): Promise<TranscriptFile | undefined> {
  const file = source.describe(at);
  if (file?.subagent === undefined) return file;
  const beside = at.replace(/\.jsonl$/, '.meta.json');
  try {
    const stat = await fs.stat(beside);
    // A pipe under such a name would be waited for.
    if (!stat.isFile() || stat.size > longestSidecar) return file;
    const sidecar: unknown = JSON.parse(await fs.readFile(beside, 'utf8'));
    return isObject(sidecar) ? { ...file, sidecar } : file;
  } catch {
    return file;
  }
}

/** Bytes; it holds a name or two. */
const longestSidecar = 1_000_000;

/** Whose sessions are looked for, and where: `Claude Code in ~/.claude/projects, …`. */
export function lookedThrough(environment = process.env, home = os.homedir()): string {
  return transcriptSources
    .map((source) => {
      const [folder = ''] = source.folders(environment, home);
      const isInHome = folder.startsWith(`${home}${path.sep}`);
      return `${source.title} in ${isInHome ? `~${folder.slice(home.length)}` : folder}`;
    })
    .join(', ');
}

/** What is on this machine, by program; programs without a session are left out. Reads no file. */
export async function discover(options: FindOptions = {}): Promise<Found[]> {
  return summarise(await findFiles(options));
}

/** Files by the program that has left them. */
export function summarise(files: readonly FoundFile[]): Found[] {
  const all = new Map<TranscriptSource, Found>();
  for (const { source, file, size, changedAt } of files) {
    const known = all.get(source) ?? {
      source,
      sessions: 0,
      files: 0,
      bytes: 0,
      oldestAt: changedAt,
      newestAt: changedAt,
    };
    known.sessions += file.subagent === undefined ? 1 : 0;
    known.files += 1;
    known.bytes += size;
    known.oldestAt = Math.min(known.oldestAt, changedAt);
    known.newestAt = Math.max(known.newestAt, changedAt);
    all.set(source, known);
  }
  return [...all.values()];
}

/**
 * The programs whose transcripts can be read. Adding one is adding its file and a line here. A file that several would
 * read is the first one's: Claude Code's is any file of JSON lines.
 */
export const transcriptSources: readonly TranscriptSource[] = [codex, gemini, claude];
