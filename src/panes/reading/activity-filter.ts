import { secondsBetween } from '../../db/quote.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { formatCount } from '../../core/format/number.js';
import { readTerms, type FilterField, type FilterTerm } from '../contract/filter.js';
import { likePattern, Parameters } from '../contract/listing.js';
import type { PaneResult, ReadRequest } from '../contract/pane.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import {
  ActivityBuffer,
  type ActivityDatabaseRow,
  type ActivityExtras,
  type ActivityKind,
  type ActivityRow,
} from './activity-buffer.js';
import {
  activityStatement,
  eventRate,
  idRange,
  lockNotes,
  lookedBackTo,
  none,
  ofAgent,
  readActivityState,
  selectedOf,
  statusCondition,
  type ActivitySource,
  type ActivityState,
  type ChosenEvents,
  type Condition,
} from './activity-statement.js';
import {
  isNameKind,
  namesMeant,
  readNames,
  unknownName,
  unknownSession,
  type NameKind,
} from './names.js';
import type { DetailAccess } from '../contract/opening.js';

/** What events can be filtered by in the server, named as the pane names it. */
const fields: readonly FilterField[] = [
  { id: 'at', title: 'time', format: 'clock' },
  { id: 'durationMs', title: 'took', format: 'duration' },
  ...[
    ['kind', 'kind'],
    ['status', 'status'],
    ['title', 'what'],
    ['text', 'detail'],
    ...['session', 'agent', 'trace', 'hook', 'tool', 'service', 'project', 'user'].map(
      (name) => [name, name] as const,
    ),
  ].map(([id = '', title = '']) => ({ id, title, format: 'text' as const })),
];

type Term = FilterTerm;
/** The whole window is searched again after 50 times as long as the last search of it took, and at the latest after this. */
const wholeEveryMs = 60_000;
/** Between two searches of the whole window only events are read that began within this time. */
const recentMs = 120_000;
/** A search of the whole window that takes less than this is repeated each time. */
const quickMs = 30;
const namesEveryMs = 60_000;

/**
 * The tail of what a filter chooses, over the window, at any rate. What an index answers (agent, session, project, user,
 * tool, service) is found however much was written; anything else is looked for in the newest 200,000 rows of a table.
 * A look at the whole window is made again as often as it is cheap; between, only the last two minutes are read, and what
 * still ran at the last reading.
 */
export class FilteredActivity {
  readonly #terms: readonly Term[];
  readonly #kept: number;
  #buffer: ActivityBuffer;
  #names = new Map<NameKind, readonly string[]>();
  #unknownSessions: readonly string[] = [];
  #namesAtMs = -Infinity;
  /** By kind, by the server's clock: of a table that is locked since, these are the events. */
  readonly #readAtMs = new Map<ActivityKind, number>();
  #untilMs: number | undefined;
  #openSince: string | null = null;
  #lastMs: number | undefined;
  #wholeAtMs = -Infinity;
  #wholeTookMs = 0;
  #boundNotes: readonly string[] = [];

  /** @throws ConsoleError `usage` for a filter that cannot be read */
  constructor(filter: string, kept: number) {
    const read = readTerms(filter, fields);
    if ('error' in read)
      throw new ConsoleError('usage', `The filter cannot be read: ${read.error}.`);
    this.#terms = read.terms;
    this.#kept = kept;
    this.#buffer = new ActivityBuffer(kept);
  }

  reset(): void {
    this.#wholeAtMs = this.#namesAtMs = -Infinity;
    this.#openSince = null;
    this.#lastMs = undefined;
  }

  read(
    request: ReadRequest,
    sources: readonly ActivitySource[],
    notes: readonly string[],
  ): Promise<PaneResult<ActivityRow, ActivityExtras>> {
    const { shape, windowMs, untilMs } = request;
    return request.transaction(async (tx) => {
      const state = await readActivityState(tx, shape.schema, sources);
      const { free } = state;
      const endMs = untilMs ?? state.now_ms;
      await this.#learnNames(tx, shape, state.now_ms);
      const before = this.#buffer.seen;
      await this.#look(tx, request, { ...state, endMs, sources: free });
      this.#openSince = free.length === sources.length ? state.open_since : null;
      for (const { kind } of free) this.#readAtMs.set(kind, state.now_ms);
      const perSecond =
        untilMs === undefined
          ? eventRate(this.#buffer.seen - before, this.#lastMs, state.now_ms)
          : null;
      this.#lastMs = state.now_ms;
      this.#buffer.keep(({ at }) => at.getTime() > endMs - windowMs);
      const rows = this.#buffer.rows();
      const full = rows.length >= this.#kept ? [`the newest ${formatCount(this.#kept)}`] : [];
      return {
        rows,
        extras: { seen: this.#buffer.seen, perSecond, gap: false },
        asOf: new Date(endMs),
        notes: [
          ...this.#unknown(),
          ...full,
          ...this.#boundNotes,
          ...lockNotes(state, sources, rows, this.#readAtMs),
          ...notes,
        ],
      };
    });
  }

  async #look(
    tx: Queryable,
    { shape, windowMs, untilMs }: ReadRequest,
    {
      now_ms: nowMs,
      endMs,
      sources,
    }: ActivityState & { endMs: number; sources: readonly ActivitySource[] },
  ): Promise<void> {
    const isPast = untilMs !== undefined;
    const isOtherMoment = untilMs !== this.#untilMs;
    this.#untilMs = untilMs;
    const everyMs =
      this.#wholeTookMs < quickMs ? 0 : Math.min(wholeEveryMs, 50 * this.#wholeTookMs);
    const isWhole = isPast || this.#openSince === null || nowMs - this.#wholeAtMs >= everyMs;
    const windowFrom = (endMs - windowMs) / 1000;
    const until = untilMs === undefined ? Infinity : untilMs / 1000;
    if (isPast && isOtherMoment) this.#buffer = new ActivityBuffer(this.#kept);
    const startMs = performance.now();
    const { rows, searched } = await this.#choose(tx, shape, sources, {
      from: isWhole ? windowFrom : Math.max(windowFrom, (endMs - recentMs) / 1000),
      openSince: isWhole ? null : this.#openSince,
      until,
    });
    if (isWhole) {
      this.#wholeAtMs = nowMs;
      this.#wholeTookMs = performance.now() - startMs;
      const asked = new Set(sources.map(({ kind }) => kind));
      this.#buffer.keepFound(rows, ({ kind }) => asked.has(kind));
      this.#boundNotes =
        this.#wholeTookMs < quickMs ? [] : await lookedBackTo(tx, searched, [windowFrom, until]);
    } else await this.#settle(tx, shape, sources, { from: windowFrom, until });
    this.#buffer.take(rows);
  }

  /** What still runs may have ended: asked by its id, so that what no longer matches goes before the next whole look. */
  async #settle(
    tx: Queryable,
    shape: SchemaShape,
    sources: readonly ActivitySource[],
    { from, until }: { from: number; until: number },
  ): Promise<void> {
    const kinds = new Set(sources.map(({ kind }) => kind));
    const isOpen = ({ kind, status }: ActivityRow) => kinds.has(kind) && status === 'in_progress';
    const ids = this.#buffer
      .rows()
      .filter(isOpen)
      .map(({ id }) => id);
    if (ids.length === 0) return;
    const { rows } = await this.#choose(tx, shape, sources, { from, until, openSince: null, ids });
    this.#buffer.keepFound(rows, isOpen);
    this.#buffer.take(rows);
  }

  /** Rows that the filter chooses, and the sources that were looked through for them because no index answers. */
  async #choose(
    tx: Queryable,
    shape: SchemaShape,
    sources: readonly ActivitySource[],
    {
      from,
      openSince,
      until,
      ids,
    }: { from: number; openSince: string | null; until: number; ids?: readonly string[] },
  ): Promise<{ rows: readonly ActivityDatabaseRow[]; searched: ActivitySource[] }> {
    const parameters = new Parameters([from, openSince, this.#kept, until]);
    const chosen = new Map<ActivitySource, ChosenEvents>();
    for (const source of sources) {
      const events = this.#chosenOf(source, shape, parameters);
      if (!events) continue;
      const only = ids === undefined ? [] : [`id = ANY (${parameters.add(ids)}::uuid[])`];
      chosen.set(source, { ...events, indexed: [...only, ...events.indexed] });
    }
    const usable = [...chosen.keys()];
    if (usable.length === 0) return { rows: [], searched: [] };
    const { rows } = await tx.query<ActivityDatabaseRow>(
      activityStatement(
        shape,
        usable,
        (source) => chosen.get(source) ?? { indexed: [], others: [] },
      ),
      parameters.values,
    );
    const searched = usable.filter((source) => (chosen.get(source)?.others.length ?? 0) > 0);
    return { rows, searched };
  }

  async #learnNames(tx: Queryable, shape: SchemaShape, nowMs: number): Promise<void> {
    if (nowMs - this.#namesAtMs < namesEveryMs) return;
    this.#namesAtMs = nowMs;
    const wanted = new Set(
      this.#terms.map(({ field }): NameKind | undefined => {
        if (!field) return 'agent';
        return isNameKind(field.id) && field.id !== 'session' ? field.id : undefined;
      }),
    );
    for (const kind of wanted) {
      if (!kind) continue;
      const names = await readNames(
        async (text) => (await tx.query<{ name: string }>(text)).rows,
        shape,
        kind,
      );
      this.#names.set(kind, names);
    }
    const read: DetailAccess['read'] = async (text, values) =>
      (await tx.query<never>(text, [...values])).rows;
    const unknown: string[] = [];
    for (const { field, text, isNot } of this.#terms) {
      if (isNot || field?.id !== 'session') continue;
      unknown.push(...(await unknownSession({ read, shape }, text)));
    }
    this.#unknownSessions = unknown;
  }

  /** What is said of names that do not exist. */
  #unknown(): string[] {
    const unknown = this.#terms.flatMap(({ field, operator, text, isNot }) => {
      if (isNot || !isNameKind(field?.id) || field.id === 'session') return [];
      const names = this.#names.get(field.id) ?? [];
      if (namesMeant(names, operator, text).length > 0) return [];
      return [unknownName(field.id, text, names)];
    });
    return [...unknown, ...this.#unknownSessions];
  }

  /** Undefined where no row of a source can match. */
  #chosenOf(
    source: ActivitySource,
    shape: SchemaShape,
    parameters: Parameters,
  ): ChosenEvents | undefined {
    const indexed: string[] = [];
    const others: string[] = [];
    const { length } = parameters.values;
    for (const term of this.#terms) {
      const known = parameters.values.length;
      const { sql, isIndexed } = this.#conditionOf(term, source, shape, parameters);
      // A parameter that no condition names has no type.
      if (sql === 'true' || sql === 'false') parameters.values.length = known;
      if (sql === (term.isNot ? 'true' : 'false')) {
        parameters.values.length = length;
        return undefined;
      }
      if (term.isNot) {
        if (sql !== 'false') others.push(`NOT COALESCE(${sql}, false)`);
      } else if (sql !== 'true') (isIndexed ? indexed : others).push(sql);
    }
    return { indexed, others };
  }

  #conditionOf(
    term: Term,
    source: ActivitySource,
    shape: SchemaShape,
    parameters: Parameters,
  ): Condition {
    const { field, operator, text, limit } = term;
    const { kind, table, at } = source;
    const column = (name: string, type: string) => columnOrNull(shape, table, name, type);
    const values = selectedOf(kind, column);
    const holds = (expression: string): string =>
      operator === '='
        ? `lower((${expression})::text) = lower(${parameters.add(text)}::text)`
        : `(${expression})::text ILIKE ${parameters.add(likePattern(text))}::text`;
    const hasText = (known: string) =>
      operator === '=' ? known === text.toLowerCase() : known.includes(text.toLowerCase());
    const named = (name: NameKind, expression: string): Condition => {
      const names = namesMeant(this.#names.get(name) ?? [], operator, text);
      return names.length === 0
        ? none
        : { sql: `${expression} = ANY (${parameters.add(names)}::text[])`, isIndexed: true };
    };
    const ofTrace = (condition: Condition, inTime: string): Condition => {
      if (condition.sql === 'false' || kind === 'trace') return condition;
      const sql = `trace_id IN (SELECT id FROM execution_traces WHERE ${condition.sql}${inTime})`;
      return { sql, isIndexed: true };
    };
    // A trace began before its events, by no more than a day.
    const before = (moment: string) =>
      ` AND ${moment} >= to_timestamp($1::float8) - interval '1 day'`;
    switch (field?.id) {
      case 'kind':
        return { sql: String(hasText(kind)) };
      case 'status':
        return statusCondition(kind, hasText, holds, values.status, parameters);
      case 'at': {
        const age = `1000 * ${secondsBetween(at, 'LEAST(now(), to_timestamp($4::float8))')}`;
        return limit === undefined
          ? none
          : { sql: `${age} ${operator} ${parameters.add(limit)}::float8` };
      }
      case 'durationMs':
        return limit === undefined
          ? { sql: holds(values.duration) }
          : { sql: `${values.duration} ${operator} ${parameters.add(limit)}::float8` };
      case 'title':
        return { sql: holds(values.title) };
      case 'text':
        return { sql: holds(values.text) };
      case 'hook':
        return kind === 'hook' ? { sql: holds('hook_name') } : none;
      case 'tool':
        return kind === 'hook' && hasColumn(shape, table, 'tool_name')
          ? named('tool', 'tool_name')
          : none;
      case 'service':
        return kind === 'call' ? named('service', 'service_name') : none;
      case 'agent': {
        const agent = named('agent', 'agent_selected');
        return kind === 'routing' ? agent : ofAgent(agent, kind, shape, before('created_at'));
      }
      case 'project':
        return ofTrace(named('project', 'project'), before('started_at'));
      case 'user':
        return ofTrace(named('user', 'user_id'), before('started_at'));
      case 'session': {
        const range = idRange('session_id', text, parameters);
        return hasColumn(shape, 'execution_traces', 'session_id') ? ofTrace(range, '') : none;
      }
      case 'trace':
        return idRange(kind === 'trace' ? 'id' : 'trace_id', text, parameters);
      default: {
        const agent = named('agent', 'agent_selected');
        const parts = [
          ...[values.title, values.text, values.status].map(holds),
          ofAgent(agent, kind, shape, before('created_at')).sql,
          idRange(kind === 'trace' ? 'id' : 'trace_id', text, parameters).sql,
        ].filter((sql) => sql !== 'false');
        return { sql: hasText(kind) ? 'true' : `COALESCE(${parts.join(' OR ')}, false)` };
      }
    }
  }
}
