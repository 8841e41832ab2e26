import { formatDuration } from '../../core/format/time.js';
import { counted, formatShare, withSeparators } from '../../core/format/number.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import { cellOf, type Column } from '../../panes/contract/column.js';
import {
  firstPage,
  type ListPage,
  type ListQuery,
  mostRowsAtOnce,
  positionOf,
  readPage,
} from '../../panes/contract/listing.js';
import type { DetailAccess, ListRequest } from '../../panes/contract/opening.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { traceJson } from '../../panes/export/exportable.js';
import { otlpOf } from '../../panes/export/otlp.js';
import { nearestIdHint, sessionDigits, unknownNames } from '../../panes/reading/names.js';
import { defaultWindowMs } from '../../panes/reading/windows.js';
import { detailText, eventTexts } from '../../panes/trace/event.js';
import { groupsQuery, likenessOf, promptColumns } from '../../panes/trace/prompts-listed.js';
import { tracesFrom } from '../../panes/trace/timeline.js';
import { readTraceTree } from '../../panes/trace/trace-opening.js';
import { alikeColumn, traceColumns, wholeTraceId } from '../../panes/trace/traces-listed.js';
import {
  promptGroupings,
  slowest,
  type TracesOf,
  tracesQuery,
} from '../../panes/trace/traces-query.js';
import { nodeTitle, type TraceTree } from '../../panes/trace/tree.js';
import { safeLine } from '../../terminal/sanitise.js';
import { defineCommand, type FlagDeclarations, parseAge } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson } from '../safe-text.js';
import { momentOf, serverNow } from './status.js';

const defaultLimit = 50;

/** Which traces are looked at, and how many rows of them are printed. */
const rangeFlags = {
  since: { type: 'string', value: 'TIME', description: 'for example 15m, 1h, 7d; default 1h' },
  at: { type: 'string', value: 'MOMENT', description: 'before this moment in the past' },
  where: { type: 'string', value: 'FILTER', description: "the console's filter" },
  limit: { type: 'number', value: 'N', description: `at most so many; default ${defaultLimit}` },
} as const satisfies FlagDeclarations;

export const tracesCommand = defineCommand({
  name: 'traces',
  summary: 'list traces by status, agent, project, session, hook, tool or any filter',
  usage:
    '[--status S] [--agent A] [--project P] [--session ID] [--hook H] [--tool T] [--like ID] [--slowest] [--since 1h] [--at MOMENT] [--where FILTER] [--limit N] [--json]',
  description: [
    'The newest first, or with --slowest those that took longest. What is given holds together: --agent X --status failed',
    'lists the failed traces of X. Without --since the last hour is listed; of a session all of its traces. With --at the',
    'time ends at that moment in the past: 14:05, "yesterday 14:05", "2h ago". With --like the most alike first; those',
    'found by embedding are of all time.',
    '',
    '--where takes what / takes in the console: words, field:word, field=word, took>2s, age<5m, ! before any of them;',
    'fields are status, took, age, source, project, user, model, error, text, session, agent, hook, tool, service, failure, intent, tag.',
    '',
    'With --json: {"asOf", "total", "failed", "traces": […]}; total and failed count all that match, also behind --limit.',
  ].join('\n'),
  flags: {
    status: { type: 'string', value: 'STATUS', description: 'completed, failed, timeout, …' },
    agent: { type: 'string', value: 'NAME', description: 'given to this agent' },
    project: { type: 'string', value: 'NAME', description: 'of this project' },
    session: {
      type: 'string',
      value: 'ID',
      description: 'of this session: id, its first 4 digits, name',
    },
    hook: { type: 'string', value: 'NAME', description: 'in which this hook ran' },
    tool: { type: 'string', value: 'NAME', description: 'in which this tool was called' },
    like: {
      type: 'string',
      value: 'ID',
      description:
        'like this trace, the most alike first: by the embedding of its routing, else by words',
    },
    slowest: { type: 'boolean', description: 'those that took longest first' },
    ...rangeFlags,
  },
  examples: [
    'trace-console traces --status failed --agent agent-debug --since 1d',
    "trace-console traces --where 'took>2s !project:billing' --json | jq '.traces[].correlation_id'",
  ],
  async run({ flags, openDatabase, print }) {
    const { limit = defaultLimit, since, session, like, json, at } = flags;
    momentOf(at, Date.now());
    checkLimit(limit);
    const sinceMs = since === undefined ? undefined : parseAge(since, '--since').milliseconds;
    if (session !== undefined && like !== undefined) {
      throw new ConsoleError('usage', 'Either --session or --like.');
    }
    const named: TracesOf =
      session === undefined ? { by: 'all' } : { by: 'session', digits: sessionDigits(session) };
    const filter = filterOf(flags, session === undefined ? undefined : sinceMs);
    const access = await accessTo(await openDatabase(), sinceMs, at);
    const of = like === undefined ? named : await likenessOf(access, await rowIdOf(access, like));
    const query = tracesQuery(access.shape, of);
    const order = flags.slowest ? slowest.id : undefined;
    const {
      rows,
      total,
      nowMs = Date.now(),
    } = await readAll(access, query, { filter, limit, order });
    if (rows.length === 0 && session !== undefined) await checkSession(access, of, session);
    const asOf = new Date(nowMs);
    const { fields } = query;
    const notes = rows.length > 0 ? [] : await unknownNames(access, { filter, fields });
    if (json) {
      const { rows: all, failed } = total ?? {};
      const said = notes.length > 0 ? { notes } : {};
      print(safeJson({ asOf, total: all, failed, ...said, traces: rows }, 2));
    } else {
      const listed = total?.rows ?? rows.length;
      const counts = `${counted(listed, 'trace')}, ${withSeparators(total?.failed ?? 0)} failed`;
      const cut =
        rows.length < listed
          ? `; the ${flags.slowest ? 'slowest' : 'newest'} ${withSeparators(rows.length)}:`
          : '';
      print([`${counts}${cut}`, ...notes].join('\n'));
      const listedColumns = traceColumns.filter(({ id }) => id !== 'age');
      const columns = like === undefined ? listedColumns : [alikeColumn, ...listedColumns];
      if (rows.length > 0) print(`\n${tableOf(columns, rows, asOf)}`);
    }
    return exitCodes.good;
  },
});

/** @throws ConsoleError `not_found` when no trace has this id, or begins so */
async function rowIdOf(access: DetailAccess, text: string): Promise<string> {
  const digits = (await wholeTraceId(access, text)).replaceAll('-', '').toLowerCase();
  const isId = /^[0-9a-f]{32}$/.test(digits);
  const [row] = isId ? await tracesFrom(access, digits, 1) : [];
  if (row && !row.archived) return row.id;
  throw new ConsoleError('not_found', `There is no live trace ${text}.`, {
    hint: `${await nearestIdHint(access, 'trace', text)}Others can only be like a live one.`,
  });
}

/** @throws ConsoleError `not_found` where no trace is of this session, whatever else was asked for */
async function checkSession(access: DetailAccess, of: TracesOf, text: string): Promise<void> {
  const query = tracesQuery(access.shape, of);
  const { rows } = await readPage(access, query, { ...firstPage, limit: 1 });
  if (rows.length > 0) return;
  const meant = await nearestIdHint(access, 'session', text);
  throw new ConsoleError('not_found', `There is no trace of a session ${text}.`, {
    hint: `${meant}Its traces may have been archived: trace-console archive list.`,
  });
}

const conditions = ['status', 'agent', 'project', 'hook', 'tool'] as const;

type Conditions = Record<(typeof conditions)[number] | 'where', string | undefined>;

/** The flags as terms of a filter, before what was given as one. */
function filterOf(flags: Conditions, sinceMs: number | undefined): string {
  const terms = conditions.flatMap((name) => {
    const value = flags[name];
    if (value === undefined) return [];
    if (value.includes('"')) throw new ConsoleError('usage', `--${name} takes no quotes.`);
    return [`${name}="${value}"`];
  });
  if (sinceMs !== undefined) terms.push(`age<${sinceMs}ms`);
  return [...terms, flags.where ?? ''].join(' ');
}

function checkLimit(limit: number): void {
  if (Number.isSafeInteger(limit) && limit >= 1) return;
  throw new ConsoleError('usage', '--limit takes a whole number from 1 on.');
}

async function accessTo(
  database: Database,
  sinceMs: number | undefined,
  at: string | undefined,
): Promise<DetailAccess> {
  return {
    shape: await readShape(database),
    windowMs: sinceMs ?? defaultWindowMs,
    untilMs: momentOf(at, await serverNow(database)),
    read: (text, values, settings = {}) =>
      database.read(text, values, { ...usualLimits, settings }),
  };
}

/** Page by page, up to the limit. */
async function readAll<Row extends object>(
  access: DetailAccess,
  query: ListQuery<Row>,
  { filter, limit, order }: { filter: string; limit: number; order?: string | undefined },
): Promise<ListPage<Row>> {
  const request = (rows: number): ListRequest => {
    const most = Math.min(mostRowsAtOnce, limit - rows);
    return { ...firstPage, filter, sort: order, limit: most };
  };
  const first = await readPage(access, query, request(0));
  const rows = [...first.rows];
  for (let { hasMore } = first; hasMore && rows.length < limit;) {
    const last = rows.at(-1);
    const after = last && positionOf(last);
    const page = await readPage(access, query, { ...request(rows.length), after });
    rows.push(...page.rows);
    ({ hasMore } = page);
  }
  return { ...first, rows };
}

function tableOf<Row extends object>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  asOf: Date,
): string {
  const context = { nowMs: asOf.getTime() };
  return plainTable(
    columns.map(({ title }) => title),
    rows.map((row) => columns.map((column) => safeLine(cellOf(column, row, context).text))),
    {
      right: columns.flatMap(({ align }, index) => (align === 'right' ? [index] : [])),
      whole: columns.flatMap(({ id }, index) => (id === 'correlationId' ? [index] : [])),
      priority: columns.map(({ id, priority }) => (id === 'correlationId' ? 0 : priority)),
    },
  );
}

export const promptsCommand = defineCommand({
  name: 'prompts',
  summary: 'list which prompts fail: groups of similar ones, or by session, agent or project',
  usage: '[--by GROUP] [--since 1h] [--at MOMENT] [--where FILTER] [--limit N] [--json]',
  description: [
    'Those that fail most first: by the least rate of failure that is certain (95 %), groups of fewer than three prompts',
    'behind the others. Similar prompts have followed the same pattern, or begin with the same words.',
    'At most the newest 20,000 prompts of the time are counted. `traces --where` lists the traces of one.',
    '',
    '--where takes what / takes in the console; fields are group, prompts, failed, rate, error, example.',
    '',
    'With --json: {"asOf", "by", "total", "failed", "groups": [{"group", "prompts", "failures", "rate", "last", "example",',
    '"error"}]}; total counts all groups, failed those in which a prompt failed.',
  ].join('\n'),
  flags: {
    by: {
      type: 'string',
      value: 'GROUP',
      description: `${promptGroupings.join(', ')}; default similar`,
    },
    ...rangeFlags,
  },
  examples: [
    'trace-console prompts --since 1d',
    "trace-console prompts --by agent --where 'failed>0' --json | jq '.groups[].example'",
  ],
  async run({ flags, openDatabase, print }) {
    const { by = 'similar', limit = defaultLimit, since, at, where = '', json } = flags;
    momentOf(at, Date.now());
    checkLimit(limit);
    const grouping = promptGroupings.find((each) => each === by);
    if (grouping === undefined) {
      throw new ConsoleError('usage', `Prompts are not grouped by "${by}".`, {
        hint: `Give one of ${promptGroupings.join(', ')}.`,
      });
    }
    const sinceMs = since === undefined ? undefined : parseAge(since, '--since').milliseconds;
    const access = await accessTo(await openDatabase(), sinceMs, at);
    const query = groupsQuery(access.shape, grouping);
    const page = await readAll(access, query, { filter: where, limit });
    const { rows, total, nowMs = Date.now() } = page;
    const asOf = new Date(nowMs);
    if (json) {
      // Without the id that the console knows a group by.
      const groups = rows.map((row) => ({ ...row, id: undefined }));
      print(safeJson({ asOf, by, total: total?.rows, failed: total?.failed, groups }, 2));
    } else {
      const listed = total?.rows ?? rows.length;
      const cut = rows.length < listed ? `; the first ${withSeparators(rows.length)}:` : '';
      print(
        `${counted(listed, 'group')}, ${withSeparators(total?.failed ?? 0)} with failures${cut}`,
      );
      if (rows.length > 0) print(`\n${tableOf(promptColumns, rows, asOf)}`);
    }
    return exitCodes.good;
  },
});

export const traceCommand = defineCommand({
  name: 'trace',
  summary: 'print a trace with its whole tree, as a table, JSON or OTLP',
  usage: 'ID [--json | --otlp]',
  description: [
    'ID is the correlation id of a trace, live or archived, or the id of its row; of a live one its first digits are',
    'enough, and so is the OpenTelemetry trace id of its sender (32 hexadecimal digits). All of the tree it belongs to is',
    'printed: traces, routing decisions, hooks, endpoint calls.',
    '',
    '"own" is the time in which the whole waited for that event and for nothing below it: what made it slow.',
    'Exit code 1 when there is no such trace.',
  ].join('\n'),
  printsFile: ({ otlp }) => otlp,
  flags: {
    otlp: {
      type: 'boolean',
      description: 'print an OTLP/JSON export request, as collectors take it',
    },
  },
  examples: [
    'trace-console trace 729c859d-6622-4380-9a6b-ebd5758d4f48',
    'trace-console trace 729c859d',
    'trace-console trace ID --otlp | curl --json @- http://jaeger.example:4318/v1/traces',
  ],
  inputs: 1,
  async run({ flags, input, openDatabase, print }) {
    const [id] = input;
    if (id === undefined || (flags.json && flags.otlp)) {
      throw new ConsoleError(
        'usage',
        id === undefined ? 'Which trace?' : 'Either --json or --otlp.',
        { hint: 'trace-console trace ID [--json | --otlp]' },
      );
    }
    const database = await openDatabase();
    const access: Pick<DetailAccess, 'shape' | 'read'> = {
      shape: await readShape(database),
      // A program waits rather than asks again.
      read: (text, values) =>
        database.read(text, values, { ...usualLimits, statementTimeoutMs: 30_000 }),
    };
    const tree = await readTraceTree(access, await wholeTraceId(access, id));
    if (flags.otlp) print(safeJson(otlpOf(tree)));
    else print(flags.json ? safeJson(traceJson(tree), 2) : traceText(tree));
    return exitCodes.good;
  },
});

function traceText(tree: TraceTree): string {
  const { asked, nodes, totalMs, failures } = tree;
  const table = plainTable(
    ['start', 'took', 'own', '', 'event', 'detail'],
    nodes.map((node) => {
      const { event, depth, startMs, ownMs } = node;
      const isOwn = ownMs > 0;
      return [
        `+${formatDuration(startMs)}`,
        event.durationMs === null ? '' : formatDuration(event.durationMs),
        isOwn ? formatDuration(ownMs) : '',
        isOwn && totalMs > 0 ? formatShare(ownMs / totalMs) : '',
        `${'  '.repeat(Math.min(depth, 20))}${safeLine(nodeTitle(node))}`,
        safeLine(
          [...(event.outcome === 'ok' ? [] : [event.outcome]), ...eventTexts(event)].join(': '),
          { limit: 200 },
        ),
      ];
    }),
    { right: [0, 1, 2, 3] },
  );
  const otlpId = detailText(asked.event, 'otlp_trace_id');
  const summary = [
    `trace ${asked.event.correlationId}`,
    safeLine(asked.event.status ?? ''),
    counted(nodes.length, 'event'),
    formatDuration(totalMs),
    `${failures} failed`,
    ...(otlpId === undefined ? [] : [`OpenTelemetry trace ${otlpId}`]),
    ...(asked.event.archived ? ['archived'] : []),
    ...(tree.isCut ? ['only its first events'] : []),
  ];
  return `${summary.join(', ')}\n\n${table}`;
}
