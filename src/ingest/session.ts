import type { Queryable } from '../db/queryable.js';
import { ofFigures, type AgentEvent, type EventBase } from './events.js';
import { sessionId, turnId } from './ids.js';
import { projectOf, toJson, type Json } from './rows.js';
import { asksAfter, type Ask } from './permissions.js';

/** A turn of a session, as far as finding the turn of a moment needs it. */
export type TurnSketch = { id: string; startedAt: number };

/** The end of a turn that names none, kept until it can be given to one. */
type LooseEnd = Extract<AgentEvent, { kind: 'turn_ended' | 'interrupted' }>;

/** The last sign of life, and the permissions that are waited for meanwhile. */
type Activity = {
  kind: string;
  at: number;
  tool?: string | undefined;
  toolUse?: string;
  message?: string;
  asks?: readonly Ask[];
};

/** Ends that name no turn are kept for this many of the latest turns; those of earlier turns become part of their rows. */
const mostLooseEnds = 100;

/** Events that wait for the first turn of their session, and how long they are as JSON. */
const mostUnplaced = { events: 200, length: 1 << 20 };

type SessionRow = {
  session_id: string;
  agent: string;
  session: string;
  project: string | null;
  cwd: string | null;
  git_branch: string | null;
  model: string | null;
  permission_mode: string | null;
  version: string | null;
  transcript_path: string | null;
  started_at: number | null;
  ended_at: number | null;
  end_reason: string | null;
  last_seen_at: number;
  activity: Json;
  unplaced: AgentEvent[];
};

/** One session while a batch of its events is recorded. */
export class Session {
  readonly id: string;
  readonly key: string;
  readonly row: SessionRow;
  readonly #isStored: boolean;
  readonly turns: TurnSketch[] = [];
  /** Turns that this batch has added. */
  readonly newTurns: TurnSketch[] = [];
  /** Ends that name no turn: which it is may change. */
  readonly looseEnds: LooseEnd[] = [];
  /** Earlier ends, whose turn will not change any more. */
  readonly retired: LooseEnd[] = [];
  readonly #newEnds: LooseEnd[] = [];
  /** When the turns began, as it is stored. */
  readonly #stored = new Map<string, number>();
  /**
   * The turn of what waits for the first turn of the session, where that is too much to be kept aside. It makes room as
   * soon as a turn is told of.
   */
  readonly standIn: string;
  #hasStandIn = false;

  private constructor(key: string, row: SessionRow, isStored: boolean) {
    this.key = key;
    this.#isStored = isStored;
    this.id = row.session_id;
    this.standIn = turnId(key, '');
    this.row = { ...row, unplaced: [] };
    for (const event of row.unplaced) {
      if (isLooseEnd(event)) this.looseEnds.push(event);
    }
  }

  /** The sessions of some events, as they are stored, locked for this transaction. */
  static async load(
    tx: Queryable,
    schema: string,
    events: readonly AgentEvent[],
  ): Promise<{ sessions: Map<string, Session>; waiting: AgentEvent[] }> {
    const firsts = new Map<string, AgentEvent>();
    for (const event of events) if (!firsts.has(event.session)) firsts.set(event.session, event);
    const ids = [...firsts.keys()].map(sessionId);
    await lockSessions(tx, ids);
    const { rows } = await tx.query<SessionRow>(
      `SELECT session_id, agent, session, project, cwd, git_branch, model, permission_mode, version,
         transcript_path, end_reason, activity, unplaced,
         (extract(epoch FROM started_at) * 1000)::float8 AS started_at,
         (extract(epoch FROM ended_at) * 1000)::float8 AS ended_at,
         (extract(epoch FROM last_seen_at) * 1000)::float8 AS last_seen_at
       FROM trace_console.agent_sessions WHERE target_schema = $1 AND session_id = ANY($2::uuid[])`,
      [schema, ids],
    );
    // What metrics alone have made of a session is less than any event says.
    const told = rows.filter(({ activity }) => activity.kind !== ofFigures);
    const stored = new Map(told.map((row) => [row.session_id, row]));
    const sessions = new Map<string, Session>();
    const waiting: AgentEvent[] = [];
    for (const [key, event] of firsts) {
      const id = sessionId(key);
      const row = stored.get(id);
      if (row) waiting.push(...row.unplaced.filter((each) => !isLooseEnd(each)));
      sessions.set(key, new Session(key, row ?? emptyRow(id, event), row !== undefined));
    }
    const turns = await tx.query<{ id: string; session_id: string; started_at: number }>(
      `SELECT id, session_id, (extract(epoch FROM started_at) * 1000)::float8 AS started_at
       FROM execution_traces WHERE session_id = ANY($1::uuid[]) AND parent_id IS NULL`,
      [ids],
    );
    const byId = new Map([...sessions.values()].map((session) => [session.id, session]));
    for (const { id, session_id: session, started_at: startedAt } of turns.rows) {
      byId.get(session)?.addStored(id, startedAt);
    }
    for (const session of sessions.values()) session.sort();
    return { sessions, waiting };
  }

  /** Whether nothing of the session is stored yet. */
  get isNew(): boolean {
    return !this.#isStored && this.#stored.size === 0;
  }

  addStored(id: string, startedAt: number): void {
    if (id === this.standIn) {
      this.#hasStandIn = true;
      return;
    }
    this.turns.push({ id, startedAt });
    this.#stored.set(id, startedAt);
  }

  /** A turn that is told of: its beginning where that is known, else a sign of it. */
  seeTurn(turn: string, at: number, isBeginning: boolean): string {
    const id = turnId(this.key, turn);
    const known = this.turns.find((each) => each.id === id);
    if (known) {
      if (isBeginning || at < known.startedAt) known.startedAt = at;
    } else {
      const sketch = { id, startedAt: at };
      this.turns.push(sketch);
      this.newTurns.push(sketch);
    }
    return id;
  }

  sort(): void {
    this.turns.sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
  }

  /** The turn that had begun last at a moment, else the first one; undefined: the session has none. */
  turnAt(at: number): string | undefined {
    const turn = this.turns.findLast(({ startedAt }) => startedAt <= at) ?? this.turns[0];
    return turn?.id ?? (this.#hasStandIn ? this.standIn : undefined);
  }

  /** All turns, with one that others make superfluous. */
  turnIds(): string[] {
    return [...this.turns.map(({ id }) => id), ...(this.#hasStandIn ? [this.standIn] : [])];
  }

  /** A turn is known now: what was given to the one that stood in for it belongs there. */
  get isStandInOver(): boolean {
    return this.#hasStandIn && this.turns.length > 0;
  }

  /** When the turn behind this one began; undefined: it is the last. */
  nextBegin(id: string): number | undefined {
    const index = this.turns.findIndex((turn) => turn.id === id);
    return index < 0 ? undefined : this.turns[index + 1]?.startedAt;
  }

  /**
   * Takes over what the turns' rows say of their beginnings.
   *
   * @returns whether what was placed by its time may belong to another turn now
   */
  adopt(rows: ReadonlyMap<string, { started_at: number }>): boolean {
    const isBeside = this.turns.length > this.newTurns.length || this.#hasStandIn;
    let hasMoved = this.newTurns.length > 0 && isBeside;
    for (const turn of this.turns) {
      const row = rows.get(turn.id);
      if (!row) continue;
      const before = this.#stored.get(turn.id);
      if (before !== undefined && before !== row.started_at) hasMoved = true;
      turn.startedAt = row.started_at;
    }
    this.sort();
    return hasMoved;
  }

  /** Turns that may have ended otherwise than it is stored: those beside new ones, those of new ends, and the last. */
  unsettled(): string[] {
    const beside = this.newTurns.flatMap(({ id }) => {
      const index = this.turns.findIndex((turn) => turn.id === id);
      return [this.turns[index - 1]?.id, id];
    });
    const ended = [...this.#newEnds, ...this.retired].map(({ at }) => this.turnAt(at));
    const last = this.turns.at(-1)?.id ?? (this.#hasStandIn ? this.standIn : undefined);
    return [...beside, ...ended, last].filter((id) => id !== undefined);
  }

  /** Keeps the end of a turn that names none. */
  addLooseEnd(event: LooseEnd): void {
    const isKnown = this.looseEnds.some((each) => each.kind === event.kind && each.at === event.at);
    if (isKnown) return;
    this.looseEnds.push(event);
    this.#newEnds.push(event);
    if (this.looseEnds.length <= mostLooseEnds) return;
    this.looseEnds.sort((a, b) => a.at - b.at);
    this.retired.push(...this.looseEnds.splice(0, this.looseEnds.length - mostLooseEnds));
  }

  /** Waits for the session's first turn. */
  postpone(event: AgentEvent): void {
    this.row.unplaced.push(event);
  }

  /** What has waited for too long a turn, and is to be placed now: from here on there is one that stands in. */
  takeOverdue(): AgentEvent[] {
    const { unplaced } = this.row;
    const isTooMuch =
      unplaced.length > mostUnplaced.events ||
      (unplaced.length > 0 && JSON.stringify(unplaced).length > mostUnplaced.length);
    if (!isTooMuch) return [];
    this.#hasStandIn = true;
    return unplaced.splice(0);
  }

  /** What an event says of where the session runs and what it does now. */
  follow(event: AgentEvent): void {
    const { row } = this;
    const { place } = event;
    const isNewer = event.at >= row.last_seen_at;
    const pick = (mine: string | undefined, theirs: string | null) =>
      isNewer ? (mine ?? theirs) : (theirs ?? mine ?? null);
    row.project = pick(place?.project ?? projectOf(place?.cwd), row.project);
    row.cwd = pick(place?.cwd, row.cwd);
    row.git_branch = pick(place?.gitBranch, row.git_branch);
    row.model = pick(
      place?.model ??
        (event.kind === 'model_call' && event.subagent === undefined ? event.model : undefined),
      row.model,
    );
    row.permission_mode = pick(place?.permissionMode, row.permission_mode);
    row.version = pick(place?.version, row.version);
    row.transcript_path = pick(place?.transcriptPath, row.transcript_path);
    row.started_at = Math.min(row.started_at ?? event.at, event.at);
    if (event.kind === 'session_ended' && event.at >= (row.ended_at ?? 0)) {
      row.ended_at = event.at;
      row.end_reason = event.reason ?? row.end_reason;
    }
    const { asks: asked = [], ...last } = row.activity as Partial<Activity>;
    const asks = asksAfter(event, asked, last, row.last_seen_at);
    const activity = activityOf(event);
    const isLast = activity !== undefined && activity.at >= (last.at ?? 0);
    row.activity = { ...(isLast ? activity : last), ...(asks.length > 0 ? { asks } : {}) };
    row.last_seen_at = Math.max(row.last_seen_at, event.at);
    // A session with events after its end was resumed.
    if (row.ended_at !== null && row.last_seen_at > row.ended_at) row.ended_at = null;
  }
}

function activityOf(event: AgentEvent): Activity | undefined {
  const { kind, at } = event;
  switch (kind) {
    case 'tool_started':
      return { kind, at, tool: event.tool, toolUse: event.toolUse.slice(0, 512) };
    case 'tool_ended':
      return { kind, at, tool: event.tool };
    case 'permission':
      return { kind: `permission_${event.decision}`, at, tool: event.tool };
    case 'note':
      return {
        kind: event.event,
        at,
        ...(event.text === undefined ? {} : { message: event.text.slice(0, 200) }),
      };
    case 'hook_run':
    case 'routing':
    case 'span':
      return undefined;
    default:
      return { kind, at };
  }
}

function isLooseEnd(event: AgentEvent): event is LooseEnd {
  return event.kind === 'turn_ended' || event.kind === 'interrupted';
}

function emptyRow(id: string, { agent, session }: EventBase): SessionRow {
  return {
    session_id: id,
    agent,
    session,
    project: null,
    cwd: null,
    git_branch: null,
    model: null,
    permission_mode: null,
    version: null,
    transcript_path: null,
    started_at: null,
    ended_at: null,
    end_reason: null,
    last_seen_at: 0,
    activity: {},
    unplaced: [],
  };
}

/** Who changes rows of these sessions waits for others who do, until the end of the transaction. */
export async function lockSessions(tx: Queryable, ids: readonly string[]): Promise<void> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(hashtextextended('trace_console.session.' || id, 0))
     FROM (SELECT DISTINCT id FROM unnest($1::text[]) AS id ORDER BY id) AS sorted`,
    [ids],
  );
}

export async function saveSessions(
  tx: Queryable,
  schema: string,
  sessions: Iterable<Session>,
): Promise<void> {
  const rows = [...sessions].map(({ row, looseEnds }) => ({
    ...row,
    session: row.session.slice(0, 512),
    unplaced: [...row.unplaced, ...looseEnds],
  }));
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO trace_console.agent_sessions AS s (target_schema, session_id, agent, session, project, cwd,
       git_branch, model, permission_mode, version, transcript_path, started_at, ended_at, end_reason,
       last_seen_at, activity, unplaced)
     SELECT $1, session_id, agent, session, project, cwd, git_branch, model, permission_mode, version,
       transcript_path, to_timestamp(started_at / 1000), to_timestamp(ended_at / 1000), end_reason,
       to_timestamp(last_seen_at / 1000), activity, unplaced
     FROM json_to_recordset($2::json) AS r (session_id uuid, agent text, session text, project text, cwd text,
       git_branch text, model text, permission_mode text, version text, transcript_path text,
       started_at float8, ended_at float8, end_reason text, last_seen_at float8, activity jsonb, unplaced jsonb)
     ON CONFLICT (target_schema, session_id) DO UPDATE SET
       project = excluded.project, cwd = excluded.cwd, git_branch = excluded.git_branch, model = excluded.model,
       permission_mode = excluded.permission_mode, version = excluded.version,
       transcript_path = excluded.transcript_path, started_at = excluded.started_at,
       ended_at = excluded.ended_at, end_reason = excluded.end_reason, last_seen_at = excluded.last_seen_at,
       activity = excluded.activity, unplaced = excluded.unplaced`,
    [schema, toJson(rows)],
  );
}
