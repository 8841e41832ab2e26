import os from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { counted, formatBytes, withSeparators } from '../../core/format/number.js';
import { formatAge } from '../../core/format/time.js';
import { ConsoleError, exitCodes, readOnlyError } from '../../db/errors.js';
import {
  findFiles,
  type FoundFile,
  transcriptSources,
  type Unreadable,
} from '../../ingest/discover.js';
import { type ImportResult, importSessions, shownProgress } from '../../ingest/import.js';
import { Prices } from '../../ingest/prices.js';
import { Recorder } from '../../ingest/recorder.js';
import { reprice, type Repriced } from '../../ingest/reprice.js';
import type { TranscriptSource } from '../../ingest/sources/source.js';
import { ProgressRate } from '../../maintenance/long-statement.js';
import { safeLine } from '../../terminal/sanitise.js';
import { defineCommand, parseAge } from '../command.js';
import { ensureSchema } from '../ensure-schema.js';
import { plainTable } from '../plain-table.js';
import { factLines, progressLine, shareOf } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

/**
 * Asks before what agents did is written to a server; the embedded database is the user's own.
 *
 * @throws ConsoleError `confirmation_needed`
 */
export async function confirmImport(
  {
    flags,
    interactive,
    ask,
  }: {
    flags: { yes: boolean; json: boolean };
    interactive: boolean;
    ask: (question: string) => Promise<string>;
  },
  database: {
    capabilities: { embedded: boolean; database: string; schema: string };
    address: { host: string; port: number };
  },
  isEmpty: boolean,
): Promise<void> {
  const { capabilities, address } = database;
  if (flags.yes || isEmpty || capabilities.embedded) return;
  const where = `${capabilities.database} on ${address.host}:${address.port}, schema ${capabilities.schema}`;
  if (interactive && !flags.json) {
    const answer = await ask(
      safeText(`Prompts and results of tools go to ${where}. Type "yes" to go on: `),
    );
    if (answer.trim() === 'yes') return;
    throw new ConsoleError('confirmation_needed', 'Cancelled; nothing was written.');
  }
  throw new ConsoleError('confirmation_needed', `Nothing was written to ${where}.`, {
    hint: 'Prompts and results of tools would go there: add --yes, or --dry-run to count only.',
  });
}

const names = transcriptSources.map(({ id }) => id);

const pricesFlag = {
  prices: {
    type: 'string',
    value: 'FILE',
    description:
      'prices of your own, JSON: {"MODEL": {"input": 3, "output": 15}}, dollars a million tokens',
  },
} as const;

export const command = defineCommand({
  name: 'import',
  summary: "bring in the sessions of agents' programs from their transcripts",
  usage: `[auto|${names.join('|')}] [PATH…] [--since 30d] [--dry-run] [--yes] [--json]`,
  description: [
    `Reads the folders of ${transcriptSources.map(({ title }) => title).join(', ')} on this machine (auto), or the files and`,
    'folders that are named. Secrets are taken out before anything is written. Run again it brings in what is new,',
    'and changes nothing else. Into the embedded database it writes at once; into a server only with --yes.',
    '',
    'With --json: {"files", "sessions", "prompts", "modelCalls", "toolCalls", "failedToolCalls", "subagents",',
    '"tokens": {"input", "output", "cacheRead", "cacheCreation"}, "costUsd", "unpriced": [MODEL], "skippedLines",',
    '"written": {TABLE: rows}, "unchanged"}. Counts are of what this run has read; "input" is uncached input;',
    '"unchanged" are rows of which it told nothing new. Exit code 1 where a file or folder could not be read: the others',
    'are, and "unreadable": [{"path", "reason"}] names it.',
  ].join('\n'),
  flags: {
    since: {
      type: 'string',
      value: 'TIME',
      description: 'only files that were written since, for example 30d; default: all',
    },
    dryRun: { type: 'boolean', description: 'read and count, and write nothing' },
    yes: { type: 'boolean', description: 'do not ask; needed to write to a server' },
    ...pricesFlag,
  },
  inputs: 1_000,
  examples: [
    'trace-console import --dry-run',
    'trace-console import claude --since 30d',
    'trace-console import ~/backup/projects --json',
  ],
  async run(context) {
    const { flags, input, print, progress, openDatabase, signal } = context;
    const { source, paths } = namedSource(input);
    const since =
      flags.since === undefined
        ? undefined
        : Date.now() - parseAge(flags.since, '--since').milliseconds;
    const unreadable: Unreadable[] = [];
    const onUnreadable = (each: Unreadable) => unreadable.push(each);
    const files = await findFiles({ source, paths, since, onUnreadable });
    const prices = pricesOf(flags.prices);
    if (!flags.json) for (const line of foundLines(files, { source, paths })) print(safeText(line));
    if (!flags.json && files.length === 0 && unreadable.length === 0) return exitCodes.good;
    const database = await openDatabase();
    if (!flags.dryRun) {
      await confirmImport(context, database, files.length === 0);
      await ensureSchema(context);
    }
    const recorder = flags.dryRun ? undefined : new Recorder(database, { prices });
    // Collects garbage early: what was read is garbage a moment later, and V8 would let three times as much pile up.
    setFlagsFromString('--heap-growing-percent=60');
    setFlagsFromString('--semi-space-growth-factor=1');
    // What survives is copied while lines wait to be parsed; helpers would take the processor from the server meanwhile.
    setFlagsFromString('--no-parallel-scavenge');
    const events = importSessions(files, { database, recorder, prices, signal });
    const rate = new ProgressRate();
    let last = '';
    for (;;) {
      const event = await events.next();
      if (event.done) {
        unreadable.push(...event.value.unreadable);
        const result = {
          ...jsonOf({ ...event.value, unreadable }),
          ...(flags.dryRun ? { dryRun: true } : {}),
        };
        if (flags.json) print(safeJson(result, 2));
        else {
          for (const line of resultLines(event.value, flags.dryRun)) print(safeText(line));
          for (const { path, reason } of unreadable)
            print(safeText(`not read: ${path}: ${reason}`));
        }
        return signal.aborted || unreadable.length > 0 ? exitCodes.notGood : exitCodes.good;
      }
      const told = rate.complete(shownProgress(event.value), performance.now());
      const line = progressLine(told);
      if (line !== last) progress(line, shareOf(told));
      last = line;
    }
  },
});

export const repriceCommand = defineCommand({
  name: 'reprice',
  summary: 'find the cost of stored model calls again, by the prices that are known now',
  usage: '--since 30d [--prices FILE] [--dry-run] [--json]',
  description: [
    "Of sessions of agents' programs, in traces that began since then: each call at the price of its model at its own",
    'time, then the sums of its trace. A cost that the program reported stays, and one of which no price is known any',
    'more. It may be interrupted at any moment and run again.',
    '',
    'With --json: {"traces", "calls", "changed", "oldUsd", "newUsd", "unpriced", "models": [{"model", "calls",',
    '"changed", "oldUsd", "newUsd", "unpriced"}], "written": {TABLE: rows}}; dollars, null where none is known.',
  ].join('\n'),
  flags: {
    since: {
      type: 'string',
      value: 'TIME',
      description: 'traces that began in this time until now, for example 30d',
    },
    dryRun: { type: 'boolean', description: 'compute and compare, and write nothing' },
    ...pricesFlag,
  },
  examples: [
    'trace-console reprice --since 30d --dry-run',
    'trace-console reprice --since 7d --prices prices.json',
  ],
  async run({ flags, print, note, openDatabase, signal }) {
    const { since, dryRun, json } = flags;
    if (since === undefined) {
      throw new ConsoleError('usage', 'Since when?', { hint: 'trace-console reprice --since 30d' });
    }
    const from = Date.now() - parseAge(since, '--since').milliseconds;
    const prices = pricesOf(flags.prices);
    const database = await openDatabase();
    if (database.readOnly && !dryRun) {
      throw readOnlyError('reprice', database, '--dry-run says what would change.');
    }
    const run = reprice(database, { prices, since: from, dryRun, signal });
    for (;;) {
      const next = await run.next();
      if (next.done) {
        const { written, ...result } = next.value;
        if (json) print(safeJson(dryRun ? { ...result, dryRun } : { ...result, written }, 2));
        else print(safeText(repricedText(next.value, dryRun)));
        return signal.aborted ? exitCodes.notGood : exitCodes.good;
      }
      note(counted(next.value, 'trace'));
    }
  },
});

function pricesOf(file: string | undefined): Prices {
  return file === undefined ? new Prices() : Prices.fromFile(file);
}

function repricedText({ models, ...all }: Repriced, dryRun: boolean): string {
  const count = withSeparators;
  const dollars = (usd: number | null) => (usd === null ? '—' : `$${usd.toFixed(2)}`);
  const verb = dryRun ? 'would cost' : 'cost';
  const summary =
    `${counted(all.calls, 'model call')} in ${counted(all.traces, 'trace')}; ` +
    `${count(all.changed)} ${verb} something else now`;
  if (models.length === 0) return summary;
  const total = { ...all, model: 'all' };
  const rows = [...models, ...(models.length > 1 ? [total] : [])].map((each) => [
    safeLine(each.model),
    count(each.calls),
    count(each.changed),
    dollars(each.oldUsd),
    dollars(each.newUsd),
    count(each.unpriced),
  ]);
  const head = ['model', 'calls', 'changed', 'before', 'now', 'no price'];
  return `${summary}\n\n${plainTable(head, rows, { right: [1, 2, 3, 4, 5] })}`;
}

function namedSource(input: readonly string[]): {
  source: TranscriptSource | undefined;
  paths: readonly string[];
} {
  const [first, ...rest] = input;
  if (first === undefined || first === 'auto') return { source: undefined, paths: rest };
  const source = transcriptSources.find(({ id }) => id === first);
  return source ? { source, paths: rest } : { source: undefined, paths: input };
}

function foundLines(
  files: readonly FoundFile[],
  { source: asked, paths }: ReturnType<typeof namedSource>,
): string[] {
  if (files.length === 0) {
    const sources = asked ? [asked] : transcriptSources;
    const folders = sources.flatMap((each) => each.folders(process.env, os.homedir()));
    return [
      'No transcripts were found in',
      ...(paths.length > 0 ? paths : folders).map((at) => `  ${at}`),
    ];
  }
  return transcriptSources.flatMap((source) => {
    const mine = files.filter((file) => file.source === source);
    if (mine.length === 0) return [];
    const sessions = mine.filter(({ file }) => file.subagent === undefined).length;
    const newest = Math.max(...mine.map(({ changedAt }) => changedAt));
    const bytes = mine.reduce((sum, { size }) => sum + size, 0);
    const age = formatAge(Date.now() - newest);
    return [
      `${source.title}: ${counted(sessions, 'session')}, ${formatBytes(bytes)}, the last one ${age} ago`,
    ];
  });
}

function jsonOf({ written, unreadable, ...counts }: ImportResult) {
  return {
    ...counts,
    written: written.rows,
    unchanged: written.unchanged,
    ...(unreadable.length === 0 ? {} : { unreadable }),
  };
}

function resultLines(result: ImportResult, dryRun: boolean): string[] {
  const { tokens, written } = result;
  const count = withSeparators;
  const rows = Object.values(written.rows).reduce((sum, n) => sum + n, 0);
  if (result.files > 0 && result.sessions + result.skippedLines + rows === 0) {
    return ['Nothing new was found.'];
  }
  return [
    dryRun ? 'Read, nothing written:' : 'Imported:',
    ...factLines([
      { label: 'files', value: count(result.files) },
      { label: 'sessions', value: count(result.sessions) },
      { label: 'prompts', value: count(result.prompts) },
      { label: 'model calls', value: count(result.modelCalls) },
      {
        label: 'tool calls',
        value: `${count(result.toolCalls)}, ${count(result.failedToolCalls)} failed`,
      },
      { label: 'subagents', value: count(result.subagents) },
      {
        label: 'tokens',
        value: `${count(tokens.input + tokens.cacheRead + tokens.cacheCreation)} in (${count(tokens.input)} uncached, ${count(tokens.cacheRead)} cached, ${count(tokens.cacheCreation)} to cache), ${count(tokens.output)} out`,
      },
      { label: 'cost', value: `$${result.costUsd.toFixed(2)}` },
      ...(result.unpriced.length === 0
        ? []
        : [{ label: 'no price', value: result.unpriced.join(', ') }]),
      ...(result.skippedLines === 0
        ? []
        : [{ label: 'skipped lines', value: count(result.skippedLines) }]),
      ...(dryRun
        ? []
        : [
            {
              label: 'rows written',
              value: `${count(rows)}, ${count(written.unchanged)} unchanged`,
            },
          ]),
    ]),
  ];
}
