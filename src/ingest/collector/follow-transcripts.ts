import { isObject } from '../../core/values.js';
import fs from 'node:fs';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { hasConsoleTable } from '../../deploy/console-schema.js';
import { findFiles, type FoundFile, transcriptSources } from '../discover.js';
import { importSessions } from '../import.js';
import type { Recorder } from '../recorder.js';
import { textOf } from '../sources/hook-payload.js';
import type { TranscriptSource } from '../sources/source.js';
import type { SpoolRecord } from '../spool/frame.js';

/** How often (ms) the files of live sessions are looked at. */
const lookEveryMs = 1_000;

/** A session without an event for so long (ms) is followed no more. */
const liveMs = 3_600_000;

/** How long (ms) after a session's end its file is still read: the last lines are written late. */
const lingerMs = 10_000;

type Live = {
  source: TranscriptSource;
  session: string | undefined;
  until: number;
  sizes: Map<string, number>;
};

/**
 * Reads the transcripts of the sessions that hooks tell of, as they grow: hooks say nothing of model calls and tokens.
 * Where a transcript was read up to is written with its rows, as an import does it.
 */
export class TranscriptFollower {
  readonly #database: Database;
  readonly #recorder: Recorder;
  readonly #live = new Map<string, Live>();
  #isLoaded = false;
  #lookedMs = 0;

  constructor(database: Database, recorder: Recorder) {
    this.#database = database;
    this.#recorder = recorder;
  }

  /**
   * Takes note of the sessions that records tell of, and reads what their files have grown by.
   *
   * @returns whether something was read
   * @throws ConsoleError when the database does not take it now; it is read again then
   */
  async round(records: readonly SpoolRecord[], nowMs = Date.now()): Promise<boolean> {
    for (const record of records) this.#see(record, nowMs);
    if (nowMs - this.#lookedMs < lookEveryMs) return false;
    this.#lookedMs = nowMs;
    if (!this.#isLoaded) await this.#loadLive(nowMs);
    let hasRead = false;
    for (const [path, live] of this.#live) {
      if (await this.#read(path, live)) hasRead = true;
      if (nowMs > live.until) this.#live.delete(path);
    }
    return hasRead;
  }

  #see({ cli, payload }: SpoolRecord, nowMs: number): void {
    const source = transcriptSources.find(({ id }) => id === cli);
    const path = isObject(payload) ? textOf(payload, 'transcript_path') : undefined;
    if (source === undefined || path === undefined || !isObject(payload)) return;
    const isOver = textOf(payload, 'hook_event_name') === 'SessionEnd';
    const session = textOf(payload, 'session_id');
    this.#follow({ source, session, until: nowMs + (isOver ? lingerMs : liveMs) }, path);
  }

  #follow(found: Omit<Live, 'sizes'>, path: string): void {
    const live = this.#live.get(path);
    if (live) live.until = found.until;
    else if (found.source.describe(path) !== undefined) {
      this.#live.set(path, { ...found, sizes: new Map() });
    }
  }

  /** Those that the collector before this one has followed. */
  async #loadLive(nowMs: number): Promise<void> {
    const { schema } = this.#database.capabilities;
    const rows = await this.#database.transaction({ readOnly: true }, async (tx) => {
      if (!(await hasConsoleTable(tx, 'agent_sessions'))) return [];
      const found = await tx.query<{ path: string; session: string }>(
        `SELECT transcript_path AS path, session FROM trace_console.agent_sessions
         WHERE target_schema = $1 AND ended_at IS NULL AND transcript_path IS NOT NULL
           AND last_seen_at > now() - interval '1 hour'
         ORDER BY last_seen_at DESC LIMIT 200`,
        [schema],
      );
      return found.rows;
    });
    this.#isLoaded = true;
    for (const { path, session } of rows) {
      const source = transcriptSources.find((each) => each.describe(path) !== undefined);
      if (!source || this.#live.has(path)) continue;
      this.#follow({ source, session, until: nowMs + liveMs }, path);
    }
  }

  async #read(path: string, live: Live): Promise<boolean> {
    const { sizes } = live;
    const grown = (await filesOf(live, path)).filter(
      ({ file, size }) => sizes.get(file.path) !== size,
    );
    if (grown.length === 0) return false;
    try {
      const run = importSessions(grown, { database: this.#database, recorder: this.#recorder });
      while (!(await run.next()).done);
    } catch (error) {
      // A file may go while it is read; what the database says is for whoever waits for it.
      if (error instanceof ConsoleError) throw error;
    }
    for (const { file, size } of grown) sizes.set(file.path, size);
    return true;
  }
}

/** A session's own file, and those of its subagents that stand beside it. */
function filesOf({ source, session }: Live, path: string): Promise<FoundFile[]> {
  const companions = source.companions?.(path, session) ?? [];
  const paths = [path, ...companions].filter((each) => fs.existsSync(each));
  return paths.length === 0 ? Promise.resolve([]) : findFiles({ source, paths });
}
