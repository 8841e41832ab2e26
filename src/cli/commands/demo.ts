import { setTimeout as sleep } from 'node:timers/promises';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Database } from '../../db/database.js';
import { placeOf } from '../../db/connection/command-flags.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import {
  demoTag,
  describeDemo,
  loadDemo,
  parseLength,
  parseStart,
  planDemo,
  type DemoOptions,
  type DemoProgress,
  type DemoSummary,
  type RemovalSummary,
} from '../../demo/index.js';
import { applySchema, planApply } from '../../deploy/apply.js';
import { defineCommand } from '../command.js';
import type { Filling } from '../../ui/context.js';
import { isUnasked } from '../../deploy/plan.js';
import { takeTurn } from '../demo-companion.js';

export const command = defineCommand({
  name: 'demo',
  summary: 'generate lifelike traffic, or remove it again',
  usage: '[--rate N] [--seconds N] [--backfill 120d] [--yes] | --remove [--yes]',
  description: [
    'Writes traces with routing, hooks, endpoint calls, patterns and errors: live traffic at a steady',
    '--rate until --seconds are over or Ctrl-C, and with --backfill a history, its newest part first,',
    'whose last days or hours have that rate. Every row',
    `is tagged ${demoTag}; --remove takes away exactly these, archived ones too.`,
    'On a server (not the embedded database) it needs --yes, and says before where it would write.',
  ].join('\n'),
  flags: {
    rate: {
      type: 'number',
      value: 'N',
      description:
        'live traces a second; default 5, with --backfill as in its last hours, alone none',
    },
    seconds: { type: 'number', value: 'N', description: 'length of the live traffic' },
    backfill: { type: 'string', value: 'LENGTH', description: 'fill in history first: 120d, 36h' },
    traces: {
      type: 'number',
      value: 'N',
      description:
        'traces of that history; default 20000, on the embedded database 2500, or as the rate needs',
    },
    seed: { type: 'number', value: 'N', description: 'equal seed and start give equal rows' },
    start: {
      type: 'string',
      value: 'TIME',
      description: 'when history ends and live traffic begins, ISO 8601; default: now',
    },
    continue: {
      type: 'boolean',
      description: 'go on with what an earlier run has written: history only before that',
    },
    remove: { type: 'boolean', description: "delete the demo's rows" },
    yes: { type: 'boolean', description: 'write to a server without asking' },
  },
  examples: [
    'trace-console demo --backfill 7d --rate 0.2',
    'trace-console demo --url "$DATABASE_URL" --backfill 120d --traces 20000 --yes --json',
    'trace-console demo --remove',
  ],
  async run({ flags, openDatabase, print, note, signal }) {
    const options: DemoOptions = {
      rate: flags.rate,
      seconds: flags.seconds,
      backfillMs: flags.backfill === undefined ? undefined : parseLength(flags.backfill),
      traces: flags.traces,
      seed: flags.seed,
      start: flags.start === undefined ? undefined : parseStart(flags.start),
      continues: flags.continue,
    };
    if (flags.continue && process.send) {
      // The console may be gone: what cannot be told is no reason to end at once.
      const send = (message: Filling) =>
        void process.send?.(message, undefined, undefined, () => undefined);
      return makeTraffic({ options, openDatabase, signal, send });
    }
    const database = await openDatabase();
    const { embedded } = database.capabilities;
    const { countDemo, removeDemo, runDemo } = await loadDemo();
    if (flags.remove) {
      if (!embedded && !flags.yes) {
        for (const line of countLines(await countDemo(database))) note(line);
        throw refusal(database, 'deleted');
      }
      const summary = await removeDemo(database, {
        signal,
        onProgress: ({ table, deleted }) => note(`removed   ${count(deleted)} of ${table}`),
      });
      if (flags.json) print(JSON.stringify({ ok: !summary.interrupted, ...summary }, null, 2));
      else for (const line of removalLines(summary)) print(line);
      return summary.interrupted ? exitCodes.notGood : exitCodes.good;
    }
    const plan = planDemo(options, embedded, Date.now());
    if (!embedded && !flags.yes) {
      for (const line of describeDemo(plan)) note(line);
      throw refusal(database, 'written');
    }
    await deployUnasked(database, note);
    const summary = await runDemo(database, options, {
      signal,
      onProgress: (progress) => note(progressLine(progress)),
    });
    if (flags.json) print(JSON.stringify({ ok: true, ...summary }, null, 2));
    else for (const line of summaryLines(summary)) print(line);
    return exitCodes.good;
  },
});

type ConsolesTraffic = {
  options: DemoOptions;
  openDatabase: () => Promise<Database>;
  signal: AbortSignal;
  /** To the console that started this. */
  send: (message: Filling) => void;
};

/** The traffic of a console's demo, when it is its turn: nothing is written twice. */
async function makeTraffic({ options, openDatabase, signal, send }: ConsolesTraffic) {
  const turn = await takeTurn(send, signal);
  if (!turn) return exitCodes.good;
  try {
    const opening = openDatabase();
    opening.catch(() => undefined);
    const { makeLearned, runDemo } = await loadDemo();
    const learned = makeLearned(planDemo(options, true, Date.now()), true);
    const database = await opening;
    // Only the console's own demo, which is embedded, is written to unasked.
    if (!database.capabilities.embedded) throw refusal(database, 'written');
    // The console that started this is creating the schema: two at once would block each other.
    await untilDeployed(database, signal);
    let isFilling = false;
    await runDemo(database, options, {
      signal,
      learned,
      onProgress(progress) {
        if (progress.phase === 'live' && !isFilling) turn.isWhole();
        if (progress.phase !== 'backfill') return;
        isFilling = true;
        const { traces, ofTraces, since } = progress;
        const filling: Filling = { filled: ofTraces === 0 ? 1 : traces / ofTraces, since };
        send(filling);
        turn.tell(filling);
      },
    });
  } finally {
    turn.end();
  }
  return exitCodes.good;
}

function refusal(database: Database, done: string): ConsoleError {
  return new ConsoleError('confirmation_needed', `Nothing was ${done} in ${placeOf(database)}.`, {
    hint: 'This is not the embedded database. Add --yes if it is the right one.',
  });
}

/** The schema comes by itself where the console would apply it unasked, too. */
async function deployUnasked(database: Database, note: (line: string) => void): Promise<void> {
  const plan = await planApply(database);
  if (plan.kind !== 'new' || !isUnasked(plan, database, false)) return;
  note(`Applying the schema in ${placeOf(database)}.`);
  await applySchema(database);
}

const lookAgainMs = 50;

/** Tables come all at once: the schema of a new database is one transaction. */
async function untilDeployed(database: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !database.capabilities.tables.error_patterns) {
    await sleep(lookAgainMs, undefined, { signal }).catch(() => undefined);
    await database.refreshCapabilities();
  }
}

const count = (value: number) => withSeparators(value);

function progressLine(progress: DemoProgress): string {
  switch (progress.phase) {
    case 'patterns':
      return `patterns  ${count(progress.rows)} new`;
    case 'backfill': {
      const { traces, ofTraces, rows, rowsPerSecond } = progress;
      return `backfill  ${count(traces)} of ${counted(ofTraces, 'trace')}, ${counted(rows, 'row')}, ${counted(Math.round(rowsPerSecond), 'row')}/s`;
    }
    case 'live': {
      const { tracesPerSecond, traces, rows, open, lagMs, missed } = progress;
      const behind =
        lagMs > 2_000 || missed > 0
          ? `; the server does not keep up: ${(lagMs / 1000).toFixed(1)} s behind, ${count(missed)} traces left out`
          : '';
      return `live      ${tracesPerSecond.toFixed(1)} traces/s, ${counted(traces, 'trace')}, ${counted(rows, 'row')}, ${count(open)} running${behind}`;
    }
    case 'waiting':
      return `waiting   ${progress.reason}`;
  }
}

function countLines(counts: Record<string, number>): string[] {
  return [
    ...Object.entries(counts).map(([table, rows]) => `would delete ${count(rows)} of ${table}`),
    'and everything that belongs to these traces and patterns',
  ];
}

function removalLines({ deleted, keptPatterns, interrupted }: RemovalSummary): string[] {
  const total = Object.values(deleted).reduce((sum, rows) => sum + rows, 0);
  const lines = [
    `removed ${counted(total, 'row')} of the demo${interrupted ? ', interrupted' : ''}`,
  ];
  if (keptPatterns > 0 && !interrupted) {
    lines.push(`kept ${counted(keptPatterns, 'pattern')} that others have logged the use of`);
  }
  return lines;
}

function summaryLines({ seed, start, backfill, live, interrupted }: DemoSummary): string[] {
  const lines = [`seed ${seed}, start ${start}${interrupted ? ', interrupted' : ''}`];
  if (backfill) {
    const { traces, rows, seconds, rowsPerSecond } = backfill;
    lines.push(
      `backfill: ${counted(traces, 'trace')}, ${counted(rows, 'row')} in ${seconds} s (${counted(Math.round(rowsPerSecond), 'row')}/s)`,
    );
  }
  if (live) {
    const { traces, rows, seconds, tracesPerSecond, missed, cancelled } = live;
    lines.push(
      `live: ${counted(traces, 'trace')}, ${counted(rows, 'row')} in ${seconds} s (${tracesPerSecond} traces/s), ${count(missed)} left out, ${count(cancelled)} cancelled at the end`,
    );
  }
  return lines;
}
