import { readdirSync } from 'node:fs';
import os from 'node:os';
import { isUuid, readNumber } from '../../core/values.js';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { chooseEmbedder } from '../../learning/embedding/choose.js';
import {
  learnDry,
  type LearnOptions,
  type LearnSummary,
  type Findings,
  type LearnProgress,
} from '../../learning/learner/learn.js';
import { summaryOf } from '../../maintenance/learning/learn.js';
import { runAction } from '../../maintenance/registry.js';
import { safeLine } from '../../terminal/sanitise.js';
import { type CommandContext, defineCommand, embeddingFlags, parseAge } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';
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
    'killed at any moment and goes on where it was. One process learns at a time. It leaves the processor to what',
    'writes traces: it lowers its own priority, and rests after each batch for twice the time that it took.',
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
    giveWay(database);
    if (flags.dryRun) {
      const findings = await drainProgress(
        learnDry(database, { ...options, restShare: undefined }),
        note,
      );
      print(flags.json ? safeJson(findings, 2) : safeText(findingsText(findings)));
      return exitCodes.good;
    }
    const action = { database, signal: context.signal };
    const input = { ...options, keepIndexes: flags.keepIndexes };
    if (flags.watch) {
      const everyMs =
        flags.every === undefined ? undefined : parseAge(flags.every, '--every').milliseconds;
      const learned = (summary: LearnSummary) =>
        print(flags.json ? safeJson(summary) : safeLine(summaryOf(summary)));
      const run = runAction('learn', action, { ...input, watch: { everyMs, learned } });
      // What was learned is printed already.
      await drainProgress(withoutWatching(run), note);
      return exitCodes.good;
    }
    const { result, summary } = await drainProgress(runAction('learn', action, input), note);
    print(flags.json ? safeJson(result, 2) : safeLine(summary));
    return result.interrupted ? exitCodes.notGood : exitCodes.good;
  },
});

/** A tenth of the weight that others have: on a machine without a free core it learns slowly, and still learns. */
const lowered = 10;
/** Nobody waits for it at the screen: two thirds of the time are the writers'. */
const restShare = 2;

/**
 * Lets the writers of traces on this machine have the processor first. On Linux a priority is that of a thread: those of V8
 * have begun before. Beside the embedded database it stays as it is: a daemon that is started anew would inherit it, and
 * outlive this command.
 */
function giveWay({ capabilities }: Database): void {
  if (capabilities.embedded) return;
  try {
    const own = process.platform === 'linux' ? readdirSync('/proc/self/task') : ['0'];
    for (const thread of own.map(readNumber)) {
      if (os.getPriority(thread) < lowered) os.setPriority(thread, lowered);
    }
  } catch {
    // Where that is not allowed, or a thread ends meanwhile, it learns as before.
  }
}

function optionsOf({ flags, signal, note }: Context): LearnOptions {
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
    embedder: chooseEmbedder({
      embedding: flags.embedding,
      model: flags.embeddingModel,
      waits: (line) => note(safeLine(line)),
    }),
    since:
      since === undefined
        ? undefined
        : new Date(Date.now() - parseAge(since, '--since').milliseconds),
    limit,
    leastTurns: minTurns,
    restShare,
    signal,
  };
}

/** What else it is at: embedding anew, rebuilding an index. */
async function* withoutWatching<Result>(
  events: AsyncGenerator<LearnProgress, Result>,
): AsyncGenerator<LearnProgress, Result> {
  for (;;) {
    const event = await events.next();
    if (event.done) return event.value;
    if (event.value.phase !== 'watching') yield event.value;
  }
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

function findingsText({ turns, clusters, patterns, chains, errors }: Findings): string {
  const share = (good: number, of: number) => `${Math.round((100 * good) / of)} %`;
  const text = (value: string, limit = 60) => safeLine(value, { limit });
  if (turns === 0) return 'No turn has ended that was not learned from.';
  const parts = [
    patterns.length === 0
      ? 'No two of them ask for the same; --min-turns 1 makes a pattern of each.'
      : plainTable(
          ['turns', 'good', 'agent', 'first prompt', 'tools'],
          patterns.map((one) => [
            one.turns,
            share(one.good, one.turns),
            text(one.agent, 24),
            text(one.prompt),
            text(one.tools.join(' → '), 60),
          ]),
          { right: [0, 1] },
        ),
    chains.length === 0
      ? 'No agent handed over to another one.'
      : plainTable(
          ['times', 'good', 'agents, one after another'],
          chains.map((one) => [
            one.occurrences,
            share(one.good, one.occurrences),
            text(one.agents.join(' → '), 100),
          ]),
          { right: [0, 1] },
        ),
    errors.length === 0
      ? 'No error occurred.'
      : plainTable(
          ['times', 'error', 'message', 'got over by'],
          errors.map((one) => [
            one.occurrences,
            text(one.type, 24),
            text(one.message),
            text(one.resolution ?? '', 40),
          ]),
          { right: [0] },
        ),
  ];
  const of = patterns.length === 0 ? '.' : '; the largest:';
  return [
    `${counted(turns, 'turn')}, ${counted(clusters, 'group')} of prompts${of}`,
    ...parts,
  ].join('\n\n');
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
  async run({ flags, print, note, openDatabase, signal }) {
    const embedder = chooseEmbedder({
      embedding: flags.embedding,
      model: flags.embeddingModel,
      waits: (line) => note(safeLine(line)),
    });
    const database = await openDatabase();
    giveWay(database);
    const result = await calibrate(database, embedder, !flags.dryRun, signal);
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
    print(
      safeLine(
        `${result.model}, ${counted(result.prompts, 'prompt')}, alike by ${result.groupedBy}`,
      ),
    );
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

export const learnMergeCommand = defineCommand({
  name: 'learn merge',
  summary: 'bring patterns that ask for the same into one, after a preview',
  usage: '[PATTERN…] [--similarity SHARE] [--dry-run] [--yes] [--json]',
  description: [
    'Without PATTERN all duplicates among the 1,000 patterns used most: one embedding model, one leading agent, and a cosine',
    'similarity of 0.9 or more. The one that is used most stays and takes the counters and logged uses of the others;',
    'learning counts their turns for it from then on. One PATTERN (its id): it and its duplicates. Several: exactly these',
    'become one, whatever their similarity. With --json: {"kept", "merged", "usageLogs"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    similarity: { type: 'number', value: 'SHARE', description: '0.5 to 1; default 0.9' },
  },
  inputs: 50,
  examples: [
    'trace-console learn merge --dry-run',
    'trace-console learn merge --similarity 0.95 --yes',
  ],
  run(context) {
    const { input, flags } = context;
    const { similarity } = flags;
    const wrong = input.find((id) => !isUuid(id));
    if (wrong !== undefined) {
      throw new ConsoleError('usage', `A pattern has a UUID, not "${wrong}".`, {
        hint: 'trace-console suggest "PROMPT" --json gives ids.',
      });
    }
    if (similarity !== undefined && !(similarity >= 0.5 && similarity <= 1)) {
      throw new ConsoleError('usage', '--similarity is a share between 0.5 and 1.');
    }
    return runActionCommand('merge-patterns', context, {
      ...(input.length > 0 ? { patterns: input } : {}),
      ...(similarity === undefined ? {} : { similarity }),
    });
  },
});
