export type ActivityKind = 'trace' | 'routing' | 'hook' | 'call';

export type ActivityDatabaseRow = {
  kind: ActivityKind;
  id: string;
  trace_id: string | null;
  /** Of a trace. */
  session_id: string | null;
  version: string;
  at_ms: number;
  status: string | null;
  duration_ms: number | null;
  title: string | null;
  text: string | null;
};

/** One event of the tail. */
export type ActivityRow = {
  /** Counts up as events are first seen: what is "new" is above a remembered number. */
  seq: number;
  /** When it started (a decision: when it was taken). */
  at: Date;
  kind: ActivityKind;
  id: string;
  traceId: string | null;
  /** What the tail has seen of its trace; shared by the trace's events. */
  within: TraceFacts;
  /** Null for decisions, which have none. */
  status: string | null;
  durationMs: number | null;
  /** Source of a trace, chosen agent, hook, service. */
  title: string;
  /** Prompt, reason, file, URL: its first 300 characters. */
  text: string;
};

/** Null as long as the event that says it is not in the tail. */
export type TraceFacts = { session: string | null; agent: string | null };

export type ActivityExtras = {
  /** Events first seen since the console started: the highest `seq`. */
  seen: number;
  /** Events a second since the last reading; null at the first. */
  perSecond: number | null;
  /** More came at once than is kept: events between were not shown. */
  gap: boolean;
};

type Event = { row: ActivityRow; atMs: number; version: string };

/**
 * The newest events in the order of their time, each once. An event that comes late is put where it
 * belongs; one that was updated is replaced in place and keeps its number.
 */
export class ActivityBuffer {
  readonly #size: number;
  #events: Event[] = [];
  readonly #byId = new Map<string, Event>();
  #seq = 0;
  readonly #traces = new Map<string, TraceFacts>();

  constructor(size: number) {
    this.#size = size;
  }

  /** Milliseconds since 1970 before which nothing has room; -Infinity while there is room. */
  get beginsAtMs(): number {
    const [oldest] = this.#events;
    return oldest && this.#events.length >= this.#size ? oldest.atMs : -Infinity;
  }

  /** How many events were ever taken in. */
  get seen(): number {
    return this.#seq;
  }

  rows(): ActivityRow[] {
    return this.#events.map(({ row }) => row);
  }

  has(kind: ActivityKind, id: string): boolean {
    return this.#byId.has(keyOf(kind, id));
  }

  /** Drops what does not belong here any more. */
  keep(belongs: (row: ActivityRow) => boolean): void {
    for (const { row } of this.#events) {
      if (!belongs(row)) this.#byId.delete(keyOf(row.kind, row.id));
    }
    this.#events = this.#events.filter(({ row }) => this.#byId.has(keyOf(row.kind, row.id)));
  }

  /** Drops what was asked for and not found. */
  keepFound(
    found: readonly ActivityDatabaseRow[],
    isAsked: (row: ActivityRow) => boolean = () => true,
  ): void {
    const keys = new Set(found.map(({ kind, id }) => keyOf(kind, id)));
    this.keep((row) => !isAsked(row) || keys.has(keyOf(row.kind, row.id)));
  }

  /** @param olderThanMs events from before that (milliseconds since 1970) were only not asked for: they get no number */
  take(found: readonly ActivityDatabaseRow[], olderThanMs = -Infinity): void {
    const added: Event[] = [];
    for (const row of found.toSorted(byTime)) {
      const key = keyOf(row.kind, row.id);
      const known = this.#byId.get(key);
      if (known?.version === row.version) continue;
      const within = this.#factsOf(row);
      if (known) {
        known.row = rowOf(row, known.row.seq, within);
        known.version = row.version;
        continue;
      }
      const event = { row: rowOf(row, 0, within), atMs: row.at_ms, version: row.version };
      this.#byId.set(key, event);
      added.push(event);
    }
    if (added.length === 0) {
      this.#events = [...this.#events];
      return;
    }
    const all = merged(this.#events, added);
    const dropped = all.splice(0, Math.max(0, all.length - this.#size));
    for (const { row } of dropped) this.#byId.delete(keyOf(row.kind, row.id));
    for (const event of added) {
      if (!this.#byId.has(keyOf(event.row.kind, event.row.id))) continue;
      if (event.atMs < olderThanMs) continue;
      this.#seq += 1;
      event.row = { ...event.row, seq: this.#seq };
    }
    this.#events = all;
    if (this.#traces.size > 2 * this.#size) this.#forgetTraces();
  }

  #factsOf({ kind, trace_id: id, session_id: session, title }: ActivityDatabaseRow): TraceFacts {
    const known = id === null ? undefined : this.#traces.get(id);
    const facts = known ?? { session: null, agent: null };
    if (id !== null && !known) this.#traces.set(id, facts);
    facts.session = session ?? facts.session;
    if (kind === 'routing') facts.agent = title;
    return facts;
  }

  /** Traces of which the tail has no event any more. */
  #forgetTraces(): void {
    const kept = new Set(this.#events.map(({ row }) => row.traceId));
    for (const id of this.#traces.keys()) if (!kept.has(id)) this.#traces.delete(id);
  }
}

/** Both are in the order of their time already: sorting the thousand that are there took most of a reading. */
function merged(events: readonly Event[], added: readonly Event[]): Event[] {
  const all: Event[] = [];
  let next = 0;
  for (const event of added) {
    for (let known = events[next]; known && known.atMs <= event.atMs; known = events[next]) {
      all.push(known);
      next += 1;
    }
    all.push(event);
  }
  return [...all, ...events.slice(next)];
}

function keyOf(kind: ActivityKind, id: string): string {
  return `${kind} ${id}`;
}

function byTime(a: ActivityDatabaseRow, b: ActivityDatabaseRow): number {
  return a.at_ms - b.at_ms;
}

function rowOf(row: ActivityDatabaseRow, seq: number, within: TraceFacts): ActivityRow {
  return {
    seq,
    at: new Date(row.at_ms),
    kind: row.kind,
    id: row.id,
    traceId: row.trace_id,
    within,
    status: row.status,
    durationMs: row.duration_ms,
    title: row.title ?? '',
    text: row.text ?? '',
  };
}
