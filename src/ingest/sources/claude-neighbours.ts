import fs from 'node:fs';
import path from 'node:path';
import { isFile } from './source.js';

/** The beginning of a file (bytes) that holds its first line with a uuid. */
const headBytes = 1 << 16;

/** The files beside a session's file: what stands in one of them is not read a second time. */
export class Neighbours {
  readonly #file: string;
  readonly #known = new Map<string, boolean>();
  #origin: { path: string; uuids: ReadonlySet<string> } | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  has(name: string): boolean {
    if (!/^[\w.-]{1,200}$/.test(name) || name === path.basename(this.#file)) return false;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const exists = fs.existsSync(path.join(path.dirname(this.#file), name));
    this.#known.set(name, exists);
    return exists;
  }

  /**
   * The file that this one began as a copy of. Early versions copied the whole session into a new file to resume it, with
   * a new session id and the same uuids. Of several files with the same first line, the oldest is the origin.
   */
  findOrigin(): string | undefined {
    const first = firstUuid(this.#file);
    if (first === undefined) return undefined;
    const folder = path.dirname(this.#file);
    const alike = transcriptsIn(folder).filter((each) => firstUuid(each) === first);
    const [oldest] = alike
      .map((each) => ({ path: each, ...timesOf(each) }))
      .toSorted((a, b) => a.born - b.born || a.changed - b.changed || (a.path < b.path ? -1 : 1));
    return oldest === undefined || oldest.path === this.#file ? undefined : oldest.path;
  }

  /** Whether a line stands in another file, too; `false` when that file has gone. */
  isCopiedFrom(origin: string, uuid: string): boolean {
    if (this.#origin?.path !== origin) this.#origin = { path: origin, uuids: uuidsOf(origin) };
    return this.#origin.uuids.has(uuid);
  }
}

/** What a folder held when it was changed last: each of its sessions asks for it. */
let lastList = { folder: '', changed: 0, files: [] as readonly string[] };

function transcriptsIn(folder: string): readonly string[] {
  const { changed } = timesOf(folder);
  if (lastList.folder !== folder || lastList.changed !== changed) {
    lastList = { folder, changed, files: listTranscripts(folder) };
  }
  return lastList.files;
}

function listTranscripts(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder)
      .filter((name) => name.endsWith('.jsonl') && !name.startsWith('agent-'))
      .map((name) => path.join(folder, name))
      .filter(isFile);
  } catch {
    return [];
  }
}

function timesOf(file: string): { born: number; changed: number } {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return { born: stat?.birthtimeMs ?? Infinity, changed: stat?.mtimeMs ?? Infinity };
}

/** First uuids of files that were looked at; a line that was written stays. */
const firstUuids = new Map<string, string>();

function firstUuid(file: string): string | undefined {
  const known = firstUuids.get(file);
  if (known !== undefined) return known;
  const uuid = uuidIn(readHead(file));
  if (uuid === undefined) return undefined;
  if (firstUuids.size > 10_000) firstUuids.clear();
  firstUuids.set(file, uuid);
  return uuid;
}

function readHead(file: string): string {
  try {
    const handle = fs.openSync(file, 'r');
    try {
      const buffer = Buffer.alloc(headBytes);
      return buffer.toString('latin1', 0, fs.readSync(handle, buffer, 0, headBytes, 0));
    } finally {
      fs.closeSync(handle);
    }
  } catch {
    return '';
  }
}

/** A line's own uuid stands on its outermost level; a message's text has its quotes escaped. */
function uuidIn(line: string): string | undefined {
  const [, uuid] = /"uuid":\s*"([\w-]{1,100})"/.exec(line) ?? [];
  // V8 keeps the whole text of what is cut out of it: 128 kB a session until the import ends.
  return uuid === undefined ? undefined : Buffer.from(uuid, 'latin1').toString('latin1');
}

function uuidsOf(file: string): Set<string> {
  try {
    const lines = fs.readFileSync(file, 'latin1').split('\n');
    return new Set(lines.flatMap((line) => uuidIn(line) ?? []));
  } catch {
    return new Set();
  }
}
