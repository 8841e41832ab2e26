import { parseDuration } from '../../core/format/time.js';
import { metricsJson, openMetricsText } from '../../core/format/open-metrics.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { readMetrics } from '../../panes/export/metrics.js';
import { ownSpool } from '../../ingest/collector/status-file.js';
import { metricsUrl, sendMetrics } from '../../panes/export/send-metrics.js';
import { defineCommand, parseWindow } from '../command.js';
import { counted, withSeparators } from '../../core/format/number.js';
import { importTelemetry, type TelemetryImport } from '../../ingest/otlp/import-files.js';
import { Prices } from '../../ingest/prices.js';
import { Recorder } from '../../ingest/recorder.js';
import type { DetailAccess } from '../../panes/contract/opening.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { hasColumn, readShape } from '../../panes/contract/shape.js';
import { type ModelCallFacts, otlpOf } from '../../panes/export/otlp.js';
import type { TraceEvent } from '../../panes/trace/event.js';
import { sessionDigits, unknownNames, unknownSession } from '../../panes/reading/names.js';
import { eventTables, readTraceTree } from '../../panes/trace/trace-opening.js';
import { rootsNamed, rootsOf } from '../../panes/trace/traces-listed.js';
import { tracesQuery } from '../../panes/trace/traces-query.js';
import type { TraceNode } from '../../panes/trace/tree.js';
import { archiveOf, workColumns } from '../../core/tables.js';
import { groupBy } from '../../core/values.js';
import { quoteIdent } from '../../db/quote.js';
import { ensureSchema } from '../ensure-schema.js';
import { factLines } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';
import { confirmImport } from './import.js';

export const exportOtlpCommand = defineCommand({
  name: 'export otlp',
  summary: 'print traces as OpenTelemetry requests, one a line',
  usage: '[ID… | --since 1d --project NAME --session ID] [--brief]',
  description: [
    'Each line is an OTLP/JSON export request with one trace and its whole tree (several lines from 4 MB on): what backends',
    'take at /v1/traces, and what the file receiver of the OpenTelemetry Collector and "import otlp" read. Calls of models,',
    'tools and agents have the words of the GenAI conventions. Traces are of the live tables, the oldest first; those with',
    'the given ids (or beginnings of ids) in their order, archived ones too: "traces" selects them by any filter. Where',
    'nothing is selected, stderr says so; exit code 1 where no such session is known.',
    '',
    'Each span carries its whole row, with inputs and outputs of tools: "import otlp" into another database writes the same',
    'rows, and into this one nothing. With --brief it carries what a trace shows on the screen: for backends of others.',
  ].join('\n'),
  printsFile: () => true,
  flags: {
    since: { type: 'string', value: 'TIME', description: 'traces that began since; default: 1d' },
    project: { type: 'string', value: 'NAME', description: 'only of this project' },
    session: {
      type: 'string',
      value: 'ID',
      description: 'of this session: id, its beginning, name',
    },
    brief: { type: 'boolean', description: 'without whole prompts, inputs and outputs of tools' },
  },
  inputs: 10_000,
  examples: [
    'trace-console export otlp --since 7d --project shop > traces.jsonl',
    'trace-console export otlp --session 729c859d-6622-4380-9a6b-ebd5758d4f48',
    "trace-console traces --status failed --json | jq -r '.traces[].correlation_id' | xargs trace-console export otlp",
  ],
  async run({ flags, input, openDatabase, print, note, signal }) {
    const { project, session: ofSession } = flags;
    if (input.length > 0 && (flags.since ?? project ?? ofSession) !== undefined) {
      throw new ConsoleError('usage', 'Either ids of traces, or --since, --project and --session.');
    }
    const sinceMs = parseDuration(flags.since ?? '1d');
    if (sinceMs === undefined) {
      throw new ConsoleError('usage', `--since does not understand "${flags.since ?? ''}".`, {
        hint: 'A number and a unit: 12h, 30d, 4w.',
      });
    }
    const database = await openDatabase();
    const session = ofSession === undefined ? undefined : sessionDigits(ofSession);
    const access: Pick<DetailAccess, 'shape' | 'read'> = {
      shape: await readShape(database),
      read: (text, values) => database.read(text, values, usualLimits),
    };
    const exported = new Set<string>();
    for await (const { id, session: idOfSession } of input.length > 0
      ? rootsNamed(access, input)
      : rootsOf(access, { sinceMs, project, session })) {
      if (signal.aborted) return exitCodes.notGood;
      if (exported.has(id)) continue;
      exported.add(id);
      const tree = await readTraceTree(access, id);
      if (tree.isCut) note(`${id}: only the first ${withSeparators(tree.nodes.length)} events`);
      const ids = tree.nodes.flatMap(({ event }) =>
        event.kind === 'endpoint_call' && !event.archived ? event.id : [],
      );
      const calls = hasColumn(access.shape, 'endpoint_calls', 'context')
        ? await modelCalls(access, ids)
        : new Map<string, ModelCallFacts>();
      if (flags.brief)
        print(safeJson(otlpOf(tree, { calls, rows: new Map(), session: idOfSession })));
      else
        for await (const { nodes, rows } of partsWithRows(access, tree.nodes)) {
          print(safeJson(otlpOf(tree, { calls, rows, session: idOfSession }, nodes)));
        }
    }
    if (exported.size > 0) return exitCodes.good;
    const [unknown] = ofSession === undefined ? [] : await unknownSession(access, ofSession);
    if (unknown !== undefined) {
      throw new ConsoleError('not_found', `Nothing is exported: ${unknown}.`.replace('?.', '?'));
    }
    const filter = project === undefined ? '' : `project="${project.replaceAll('"', '')}"`;
    const { fields } = tracesQuery(access.shape, { by: 'all' });
    const notes = await unknownNames(access, { filter, fields });
    const none = `no such trace began in the last ${flags.since ?? '1d'}`;
    note(safeText(`Nothing is exported: ${notes[0] ?? none}.`.replace('?.', '?')));
    return exitCodes.good;
  },
});

/** Rows are read so many at a time; a request holds so much of them (UTF-16 units of JSON), and so do rows that are whole. */
const rowsOfPart = 200;
const mostOfPart = 4 << 20;

/** A tree in parts, its order kept: receivers refuse a request that is too large. */
async function* partsWithRows(
  { read }: Pick<DetailAccess, 'read'>,
  nodes: readonly TraceNode[],
): AsyncGenerator<{ nodes: readonly TraceNode[]; rows: ReadonlyMap<string, string> }> {
  let part: { nodes: TraceNode[]; rows: Map<string, string>; length: number } | undefined;
  for (let start = 0; start < nodes.length; start += rowsOfPart) {
    const some = nodes.slice(start, start + rowsOfPart);
    const found = new Map<string, string>();
    for (const [table, alike] of groupBy(some, ({ event }) => tableOf(event))) {
      const known = Object.keys(workColumns[eventTables[alike[0]?.event.kind ?? 'trace']]);
      const rows = await read<{ id: string; row: string | null }>(
        `SELECT id::text, CASE WHEN length(row) <= $3 THEN row END AS row FROM (
           SELECT id, (SELECT jsonb_object_agg(c.key, c.value) FROM jsonb_each(to_jsonb(t)) AS c
             WHERE c.key = ANY($2::text[]) AND c.value <> 'null')::text AS row
           FROM ${quoteIdent(table)} AS t WHERE id = ANY($1::uuid[])) AS found`,
        [alike.map(({ event }) => event.id), known, mostOfPart],
      );
      const byId = new Map(rows.map(({ id, row }) => [id, row]));
      for (const { event } of alike) {
        const row = byId.get(event.id) ?? undefined;
        if (row !== undefined) found.set(event.key, row);
      }
    }
    for (const node of some) {
      const row = found.get(node.event.key);
      part ??= { nodes: [], rows: new Map(), length: 0 };
      part.nodes.push(node);
      if (row !== undefined) part.rows.set(node.event.key, row);
      part.length += row?.length ?? 0;
      if (part.length < mostOfPart) continue;
      yield part;
      part = undefined;
    }
  }
  if (part) yield part;
}

const tableOf = ({ kind, archived }: TraceEvent): string =>
  archived ? archiveOf(eventTables[kind]) : eventTables[kind];

async function modelCalls(
  { read }: Pick<DetailAccess, 'read'>,
  ids: readonly string[],
): Promise<Map<string, ModelCallFacts>> {
  if (ids.length === 0) return new Map();
  const rows = await read<ModelCallFacts & { id: string }>(
    `SELECT id::text, service_name AS provider, context->>'model' AS model, context->>'finish_reason' AS finished,
       (context#>>'{usage,input}')::float8 AS input, (context#>>'{usage,output}')::float8 AS output,
       (context#>>'{usage,cacheRead}')::float8 AS "cacheRead",
       (context#>>'{usage,cacheCreation}')::float8 AS "cacheCreation",
       (context#>>'{cost,usd}')::float8 AS "costUsd"
     FROM endpoint_calls WHERE id = ANY($1::uuid[]) AND (context ? 'usage' OR context ? 'model')`,
    [ids],
  );
  return new Map(rows.map(({ id, ...facts }) => [id, facts]));
}

export const importOtlpCommand = defineCommand({
  name: 'import otlp',
  summary: 'bring in traces and logs of OpenTelemetry from files',
  usage: 'FILE… [--dry-run] [--yes] [--json]',
  description: [
    'Reads OTLP export requests: one JSON a line, as the file exporter of the OpenTelemetry Collector writes them, one',
    'JSON, or protobuf. Secrets are taken out before anything is written. Run again it changes nothing. Into the',
    'embedded database it writes at once; into a server only with --yes.',
    '',
    'With --json: {"files", "requests", "spans", "logs", "points" (of metrics that are kept), "metrics" (data points that',
    'are not), "rejected", "unknown", "skippedLines", "skipped": [{"path", "lines", "first"}], "written": {TABLE: rows},',
    '"unchanged"}; "unchanged" are rows that were there already as the files tell them. Lines that are no request are',
    'passed over and counted, with the number of the first one. Exit code 1 where nothing of a file is OTLP: the others',
    'are read, and "unreadable": [{"path", "reason"}] names it; and where the role may not write points of metrics: all',
    'else is written, and "leftOut": {"points", "problem"} says what to grant. Then import the files again.',
  ].join('\n'),
  flags: {
    dryRun: { type: 'boolean', description: 'read and count, and write nothing' },
    yes: { type: 'boolean', description: 'do not ask; needed to write to a server' },
  },
  inputs: 1_000,
  examples: [
    'trace-console import otlp traces.jsonl',
    'trace-console import otlp traces.jsonl logs.jsonl --dry-run --json',
  ],
  async run(context) {
    const { flags, input, print, openDatabase, signal } = context;
    if (input.length === 0) {
      throw new ConsoleError('usage', 'Which files?', { hint: 'trace-console import otlp FILE…' });
    }
    const database = await openDatabase();
    if (!flags.dryRun) {
      await confirmImport(context, database, false);
      await ensureSchema(context);
    }
    const recorder = flags.dryRun ? undefined : new Recorder(database, { prices: new Prices() });
    const result = await importTelemetry(input, { database, recorder, signal });
    const { unreadable } = result;
    if (flags.json) print(safeJson(jsonOf(result, flags.dryRun), 2));
    else if (unreadable.length === input.length) throw noOtlp(unreadable);
    else {
      for (const line of resultLines(result, flags.dryRun)) print(safeText(line));
      for (const { path, reason } of unreadable) print(safeText(`not read: ${path}: ${reason}`));
    }
    const isWhole = unreadable.length === 0 && result.leftOut === undefined;
    return signal.aborted || !isWhole ? exitCodes.notGood : exitCodes.good;
  },
});

function noOtlp(files: TelemetryImport['unreadable']): ConsoleError {
  const names = files.map(({ path, reason }) => `${path} is no OTLP: ${reason}`);
  return new ConsoleError('file_failed', `${names.join('; ')}.`, {
    hint: 'Export requests of OpenTelemetry are read: JSON, one a line or one in the file, and protobuf.',
  });
}

function jsonOf(result: TelemetryImport, dryRun: boolean) {
  const { written, skipped, unreadable, ...counts } = result;
  return {
    ...counts,
    ...(skipped.length === 0 ? {} : { skipped }),
    written: written.rows,
    unchanged: written.unchanged,
    ...(unreadable.length === 0 ? {} : { unreadable }),
    ...(dryRun ? { dryRun } : {}),
  };
}

function resultLines(result: TelemetryImport, dryRun: boolean): string[] {
  const { written } = result;
  const count = withSeparators;
  const rows = Object.values(written.rows).reduce((sum, n) => sum + n, 0);
  const some = (label: string, value: number) =>
    value === 0 ? [] : [{ label, value: count(value) }];
  return [
    dryRun ? 'Read, nothing written:' : 'Imported:',
    ...factLines([
      { label: 'files', value: count(result.files) },
      { label: 'spans', value: count(result.spans) },
      { label: 'log records', value: count(result.logs) },
      ...some('metrics', result.points),
      ...some('metrics, not kept', result.metrics),
      ...some('metrics, left out', result.leftOut?.points ?? 0),
      ...some('without id or time', result.rejected),
      ...some('unknown logs', result.unknown),
      ...some('skipped lines', result.skippedLines),
      ...(dryRun
        ? []
        : [
            {
              label: 'rows written',
              value: `${count(rows)}, ${count(written.unchanged)} unchanged`,
            },
          ]),
    ]),
    ...(result.leftOut === undefined ? [] : [`left out: ${result.leftOut.problem}`]),
    ...result.skipped.map(
      ({ path, lines, first }) =>
        `skipped: ${path}: ${counted(lines, 'line')} could not be read, the first is ${count(first)}`,
    ),
  ];
}

const defaultWindow = '1h';

export const metricsCommand = defineCommand({
  name: 'metrics',
  summary: 'print what the panes know as OpenMetrics, or send it by OTLP',
  usage: '[--window 1h] [--to URL]',
  description: [
    'Traces by status, durations of traces, hooks, tools and calls as histograms, tokens and cost by model, sizes of tables',
    'and indexes, what is due for the archive, and the spool of this user. Names of tools, hooks, services and models: the 20',
    'that are used most, the others as one.',
    '',
    'For the textfile collector of the node exporter, from cron: write to a file beside it, and rename that. "collect',
    '--listen" serves the same on /metrics. With --to it is sent as an OTLP/HTTP request to URL/v1/metrics, with the headers of',
    'OTEL_EXPORTER_OTLP_HEADERS; "collect --metrics-to" does so every minute. Exit code 1 when the receiver does not take',
    'them, or only some of them: how many it refused, and its reason, are told.',
    '',
    'With --json: {"windowSeconds", "metrics": [{"name", "type", "help", "unit", "bounds" and "buckets" of histograms,',
    '"samples": [{"labels", "value"}]}]}; with --to {"sent", "to", "warning"}.',
  ].join('\n'),
  printsFile: ({ to }) => to === undefined,
  flags: {
    window: {
      type: 'string',
      value: 'TIME',
      description: 'what durations, tokens and cost are of; default 1h',
    },
    to: {
      type: 'string',
      value: 'URL',
      description: 'send it there, for example http://127.0.0.1:9090/api/v1/otlp',
    },
  },
  examples: [
    'trace-console metrics > trace_console.prom.new && mv trace_console.prom.new trace_console.prom',
    'trace-console metrics --to http://otel-collector.example:4318',
  ],
  async run({ flags, openDatabase, print, note }) {
    const windowMs = parseWindow(flags.window ?? defaultWindow);
    const url = flags.to === undefined ? undefined : metricsUrl(flags.to, '--to');
    const database = await openDatabase();
    const spool = ownSpool();
    const metrics = await readMetrics(database, { windowMs, spool });
    if (url === undefined) {
      const asJson = { windowSeconds: windowMs / 1_000, metrics: metricsJson(metrics) };
      print(flags.json ? JSON.stringify(asJson, null, 2) : openMetricsText(metrics).trimEnd());
      return exitCodes.good;
    }
    const warning = await sendMetrics(url, metrics, windowMs);
    const sent = { sent: metrics.length, to: url.host, warning: warning === '' ? null : warning };
    if (flags.json) print(JSON.stringify(sent, null, 2));
    note(`sent ${metrics.length} metrics to ${url.host}`);
    if (warning !== '') note(safeText(`${url.host} says: ${warning}`));
    return exitCodes.good;
  },
});
