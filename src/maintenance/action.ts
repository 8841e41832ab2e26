import { byOwnKey } from '../core/values.js';
import type { Database } from '../db/database.js';

/** What an action needs before it may run; checked in one place, guard.ts. */
export type Requirement =
  /** The role owns the tables or indexes that are changed. */
  | 'ownership'
  /** The role owns the tables or has MAINTAIN on them (PostgreSQL 17 and newer). */
  | 'maintain'
  /** As `maintain`, and for the owner of the database: VACUUM and ANALYZE. */
  | 'vacuum'
  /** A session of its own: no transaction pooler in between. */
  | 'direct-connection'
  /** The server accepts writes. */
  | 'primary'
  /** No policy hides rows from the role: it would silently do too little. */
  | 'all-rows'
  /** The rows lie on this server, not on workers of a cluster, where it would do nothing to them. */
  | 'own-rows';

/** What a row of a pane stands for: an action says which rows it takes, a pane which it has. */
export type RowKind =
  'index' | 'table' | 'backend' | 'pattern' | 'session' | 'archived trace' | 'maintenance run';

/** One line of a preview or a result: `{label: 'Size', value: '490 MB'}`. */
export type Fact = { label: string; value: string };

/** What a person sees before anything is changed. */
export type Preview = {
  /** `Reindex idx_pattern_embedding` */
  title: string;
  /** Rows, bytes, time span, locks, estimates. */
  facts: Fact[];
  /** The statements that will run, as they will run. */
  sql: string[];
  /** The things that will be changed or deleted, one a line, where they are not too many. */
  list?: string[];
  /** Warnings: what to consider before confirming. */
  warnings: string[];
  /** Set when there is nothing to do: says why. The action cannot be confirmed then. */
  nothing?: string;
  /** A word to type where data is deleted; otherwise a key confirms. */
  typed?: string;
};

/** How far an action is. `done` of `total` in `unit`; both are missing while nobody knows. */
export type Progress = {
  phase: string;
  done?: number;
  total?: number;
  unit?: string;
  /** Per second. */
  rate?: number;
  /** Seconds, estimated. */
  secondsLeft?: number;
  /** The blocking session, with its statement. */
  blockedBy?: string;
  /** The console may end now, and the server goes on by itself. */
  detachable?: boolean;
};

/** The end of an action that was not stopped by an error. */
export type Outcome<Result> = {
  /** One line for the screen and the journal. */
  summary: string;
  cancelled: boolean;
  result: Result;
  /** What there is to see now: the pane of these rows, from when on (milliseconds since 1970). */
  shows?: {
    rows: RowKind;
    since: number;
    /** When each of these rows was seen last, the newest first: how many of them lie in a window. */
    seen?: readonly number[];
  };
};

export type ActionContext = {
  database: Database;
  /** Aborted when the person cancels; the action stops at the next safe point and tidies up. */
  signal: AbortSignal;
  /** Aborted when the console ends while the server goes on by itself (`Progress.detachable`). */
  detach?: AbortSignal;
  /** Starts the collector, which goes on importing events after this console has ended; absent: there is none for this database. */
  follow?: (() => Promise<void>) | undefined;
};

/**
 * A maintenance action: a preview, then a run that yields its progress. The screen draws the events
 * as a bar, the command prints them as lines.
 *
 * `run` ends with an outcome, also when cancelled; it throws ConsoleError when it fails, with
 * nothing half-done left behind that it could tidy up.
 */
export type Action<Input, Result> = {
  id: string;
  /** `Reindex an index` */
  title: string;
  requires: readonly Requirement[];
  /**
   * Runs under one name exclude each other in a schema, across consoles. When the name is taken by a
   * run of the same action, `follow` shows that one's progress and goes on when its console dies;
   * everything else is refused.
   */
  exclusive?: { name: string; whenTaken: 'follow' | 'refuse' };
  /** What it is done to, in a line of the journal: `idx_pattern_embedding`, `older than 90 days`. */
  subject?: (input: Input) => string;
  /**
   * The input out of the journal's JSON, which anybody may have written: undefined when it is none.
   * Without this a crashed run cannot be resumed from the journal. Inputs must never hold secrets.
   */
  readInput?: (stored: unknown) => Input | undefined;
  /** What the journal keeps of the input, where that holds more than plain values; absent: all of it. */
  keptInput?: (input: Input) => object;
  /** The tables whose ownership and row security count. */
  tables: (input: Input) => readonly string[];
  /** How the console offers it; absent: by its command of the shell only. */
  offers?: readonly Offer<InputChoice<Input>>[];
  preview: (context: ActionContext, input: Input) => Promise<Preview>;
  run: (context: ActionContext, input: Input) => AsyncGenerator<Progress, Outcome<Result>>;
};

/** A command of the console that opens actions, each after a preview. Several offers may share one. */
export type OfferCommand = {
  /** Its name behind `:` and in the config's `[keys]`. */
  id: string;
  key: string;
  /** What it does, for help. */
  title: string;
  /** On the key bar: a word. */
  bar?: string;
  /** 1 stays longest on a narrow key bar. */
  priority?: number;
};

/** How the console offers an action: by which command, and on which rows. */
export type Offer<Choice> = {
  command: OfferCommand;
  /** The rows it takes, of the pane that has them: the marked ones, or the one under the cursor. */
  rows?: RowKind;
  /** The list, of those that Enter opens, whose rows are exactly what it is done to. */
  list?: { id: string; bar: string };
  /** It needs such a row: `an index`. Absent: without rows it is done to everything. */
  needs?: string;
  /** Why it does not take these rows. */
  whyNot?(rows: readonly object[]): string | undefined;
  /**
   * What would be done to these rows; undefined: another offer of the command takes them.
   *
   * @throws ConsoleError also from the promise
   */
  choose(rows: readonly object[], database: Database): Choice | ChosenLater<Choice> | undefined;
};

/** A choice for which something must be read first. The dialog opens at once, so that the next key goes to it. */
export type ChosenLater<Choice> = { title: string; chosen: Promise<Choice> };

/** What an action is called in its dialog, and what it is done to. */
type InputChoice<Input> = { title: string; input: Input };

/** The texts in a column of rows of a pane. */
export function textsOf(rows: readonly object[], column: string): string[] {
  return rows.flatMap((row) => {
    const value = byOwnKey(row as Readonly<Record<string, unknown>>, column);
    return typeof value === 'string' ? value : [];
  });
}

/** `idx_a`, `3 indexes` */
export function oneOrCount(names: readonly string[], several: string): string {
  return names.length === 1 ? (names[0] ?? '') : `${names.length} ${several}`;
}
