import { formatDuration } from '../../core/format/time.js';
import { withSeparators } from '../../core/format/number.js';
import { fitsRows } from '../../core/vector-lists.js';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { chooseEmbedder } from '../../learning/embedding/choose.js';
import {
  learn,
  learnDry,
  watch,
  type LearnOptions,
  type LearnSummary,
  type Findings,
  type LearnProgress,
} from '../../learning/learner/learn.js';
import { readVectorIndexes } from '../../maintenance/doctor/checks/vectors.js';
import { runAction } from '../../maintenance/registry.js';
import { safeLine } from '../../terminal/sanitise.js';
import { type CommandContext, defineCommand, embeddingFlags } from '../command.js';
import { parseAge, drain } from '../run-action.js';
import { plainTable } from '../plain-table.js';
import { safeJson, safeText } from '../safe-text.js';
import { calibrate, type Similarities } from '../../learning/calibrate.js';

const learnFlags = {
  ...embeddingFlags,
  since: { type: 'string', value: 'AGE', description: 'only turns that started since, as 7d' },
  watch: { type: 'boolean', description: 'go on learning until interrupted' },
  every: {
    type: 'string',
    value: 'TIME',
    description: 'with --watch: time between looks; default 5s',
  },
  dryRun: { type: 'boolean', description: 'show what would be learned, and write nothing' },
  limit: { type: 'number', value: 'N', description: 'stop after so many turns' },
  minTurns: {
    type: 'number',
    value: 'N',
    description: 'a pattern gets a row from so many turns on; default 2',
  },
  keepIndexes: { type: 'boolean', description: 'do not rebuild the vector index afterwards' },
} as const;

type Context = CommandContext<typeof learnFlags>;

export const command = defineCommand({
  name: 'learn',
  summary: 'learn success patterns, agent chains and errors from the traces',
  usage: '[--since AGE] [--watch] [--dry-run] [--embedding WHICH] [--json]',
  description: [
    'Learns from each turn that has ended, once: which agents and tools served which request, how well and how',
    'fast; which agents work one after another; which errors recur and what got over them. It may be interrupted or',
    'killed at any moment and goes on where it was. One process learns at a time.',
    '',
    'A turn is no success when it failed, was interrupted, was corrected or repeated by the next prompt, or when its',
    'last test run failed. "trace-console feedback" overrules that. With --json: {"turns", "overruled", "published",',
    '"embedding", "milliseconds", "interrupted"}; with --watch one such line a look.',
  ].join('\n'),
  flags: learnFlags,
  examples: [
    'trace-console learn',
    'trace-console learn --since 30d --dry-run',
    'trace-console learn --watch --embedding http://127.0.0.1:11434/v1 --embedding-model nomic-embed-text',
  ],
  async run(context) {
    const { flags, print, note } = context;
    const options = optionsOf(context);
    const database = await context.openDatabase();
    if (flags.dryRun) {
      const findings = await drainProgress(learnDry(database, options), note);
      print(flags.json ? safeJson(findings, 2) : safeText(findingsText(findings)));
      return exitCodes.good;
    }
    if (flags.watch) {
      const everyMs =
        flags.every === undefined ? undefined : parseAge(flags.every, '--every').milliseconds;
      for await (const summary of watch(database, { ...options, everyMs })) {
        print(flags.json ? safeJson(summary) : summaryText(summary));
      }
      return exitCodes.good;
    }
    const summary = await drainProgress(learn(database, options), note);
    print(flags.json ? safeJson(summary, 2) : summaryText(summary));
    if (!flags.keepIndexes && summary.published.patterns > 0) await fitIndex(database, context);
    return summary.interrupted ? exitCodes.notGood : exitCodes.good;
  },
});

function optionsOf({ flags, signal }: Context): LearnOptions {
  const { since, limit, minTurns } = flags;
  if (flags.watch && (flags.dryRun || limit !== undefined)) {
    throw new ConsoleError('usage', '--watch goes neither with --dry-run nor with --limit.');
  }
  for (const [name, value] of [
    ['--limit', limit],
    ['--min-turns', minTurns],
  ] as const) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new ConsoleError('usage', `${name} is a whole number, 1 or more.`);
    }
  }
  return {
    embedder: chooseEmbedder({ embedding: flags.embedding, model: flags.embeddingModel }),
    since:
      since === undefined
        ? undefined
        : new Date(Date.now() - parseAge(since, '--since').milliseconds),
    limit,
    leastTurns: minTurns,
    signal,
  };
}

async function drainProgress<Result>(
  events: AsyncGenerator<LearnProgress, Result>,
  note: (line: string) => void,
): Promise<Result> {
  let saidAt = -Infinity;
  for (;;) {
    const event = await events.next();
    if (event.done) return event.value;
    if (performance.now() - saidAt < 1_000) continue;
    saidAt = performance.now();
    const { phase, done, total, unit = '' } = event.value;
    const of = total === undefined ? '' : ` of ${withSeparators(total)}`;
    note(safeLine(done === undefined ? phase : `${phase}: ${withSeparators(done)}${of} ${unit}`));
  }
}

function summaryText({
  turns,
  overruled,
  published,
  embedding,
  milliseconds,
  interrupted,
}: LearnSummary): string {
  const { patterns, chains, errors } = published;
  const cost =
    embedding.tokens === 0
      ? ''
      : `, ${withSeparators(embedding.tokens)} tokens embedded with ${embedding.model} (${
          embedding.costUsd === null ? 'price not known' : `$${embedding.costUsd.toFixed(4)}`
        })`;
  return safeLine(
    `Learned from ${withSeparators(turns)} turns in ${formatDuration(milliseconds)}: wrote ${withSeparators(patterns)} patterns, ` +
      `${withSeparators(chains)} chains, ${withSeparators(errors)} errors` +
      (overruled > 0 ? `; people overruled ${withSeparators(overruled)} judgements` : '') +
      cost +
      (interrupted ? '; interrupted, the next run goes on from here' : ''),
  );
}

/** find_similar_patterns compares so many one by one: their index is not asked. */
const comparedExactly = 1_000;

/** The index learns its centres when it is built: after the first patterns, and again when there are many more. */
async function fitIndex(database: Database, { signal, note }: Context): Promise<void> {
  const { schema } = database.capabilities;
  const indexes = await database.transaction({ readOnly: true }, (tx) =>
    readVectorIndexes(tx, schema),
  );
  const index = indexes.find(({ table }) => table === 'success_patterns');
  if (!index || index.rows <= comparedExactly) return;
  if (!index.builtEmpty && fitsRows(index.lists, index.rows)) return;
  try {
    const run = runAction('reindex', { database, signal }, { indexes: [index.index] });
    note(safeText((await drain(run, note)).summary));
  } catch (error) {
    if (!(error instanceof ConsoleError)) throw error;
    note(safeText(`${index.index} was not rebuilt: ${error.message}`));
  }
}

function findingsText({ turns, clusters, patterns, chains, errors }: Findings): string {
  const share = (good: number, of: number) => `${Math.round((100 * good) / of)} %`;
  const text = (value: string, limit = 60) => safeLine(value, { limit });
  return [
    `${withSeparators(turns)} turns, ${withSeparators(clusters)} groups of prompts; the largest:`,
    '',
    plainTable(
      ['turns', 'good', 'agent', 'first prompt', 'tools'],
      patterns.map((one) => [
        one.turns,
        share(one.good, one.turns),
        text(one.agent, 24),
        text(one.prompt),
        text(one.tools ?? '', 40),
      ]),
      { right: [0, 1] },
    ),
    '',
    plainTable(
      ['times', 'good', 'agents, one after another'],
      chains.map((one) => [
        one.occurrences,
        share(one.good, one.occurrences),
        text(one.agents.join(' → '), 100),
      ]),
      { right: [0, 1] },
    ),
    '',
    plainTable(
      ['times', 'error', 'message', 'got over by'],
      errors.map((one) => [
        one.occurrences,
        text(one.type, 24),
        text(one.message),
        text(one.resolution ?? '', 40),
      ]),
      { right: [0] },
    ),
  ].join('\n');
}

export const learnCalibrateCommand = defineCommand({
  name: 'learn calibrate',
  summary: 'measure from which similarity on two prompts ask for the same',
  usage: '[--embedding WHICH] [--dry-run] [--json]',
  description: [
    'Compares the newest 2,000 prompts with the embedding that is used: pairs that ask for the same, and pairs that do',
    'not. The threshold that parts them best is kept for this model, and holds for what is learned from now on.',
    'With --json: {"model", "groupedBy", "prompts", "within", "across", "threshold", "separated", "usual"}.',
  ].join('\n'),
  flags: {
    ...embeddingFlags,
    dryRun: { type: 'boolean', description: 'only show it; keep the threshold there is' },
  },
  examples: ['trace-console learn calibrate --dry-run'],
  async run({ flags, print, openDatabase }) {
    const embedder = chooseEmbedder({ embedding: flags.embedding, model: flags.embeddingModel });
    const result = await calibrate(await openDatabase(), embedder, !flags.dryRun);
    if (flags.json) {
      print(safeJson(result, 2));
      return exitCodes.good;
    }
    const row = (name: string, { pairs, p5, p50, p95, p99 }: Similarities) => [
      name,
      pairs,
      p5,
      p50,
      p95,
      p99,
    ];
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    print(safeLine(`${result.model}, ${result.prompts} prompts, alike by ${result.groupedBy}`));
    print('');
    print(
      plainTable(
        ['cosine similarity', 'pairs', 'p5', 'p50', 'p95', 'p99'],
        [row('ask for the same', result.within), row('ask for something else', result.across)],
        { right: [1, 2, 3, 4, 5] },
      ),
    );
    print('');
    print(
      `Threshold ${result.threshold} (usual: ${result.usual}): ${percent(result.separated.within)} of the former lie above, ` +
        `${percent(result.separated.across)} of the latter below.${flags.dryRun ? '' : ' It is kept.'}`,
    );
    return exitCodes.good;
  },
});
