import { isUuid } from '../../core/values.js';
import { formatDuration } from '../../core/format/time.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { chooseEmbedder } from '../../learning/embedding/choose.js';
import { suggest } from '../../learning/router/suggest.js';
import type { SimilarPattern } from '../../learning/router/types.js';
import { safeLine } from '../../terminal/sanitise.js';
import { defineCommand, embeddingFlags } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson } from '../safe-text.js';
import { giveFeedback } from '../../learning/calibrate.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { wholeTraceId } from '../../panes/trace/traces-listed.js';

export const command = defineCommand({
  name: 'suggest',
  summary: 'say what worked before for such a prompt',
  usage: '"PROMPT" [--limit N] [--embedding WHICH] [--json]',
  description: [
    'Looks up the patterns nearest to the prompt: their similarity, success rate with its 95 % interval, agents, expected',
    'duration and cost; then recommends one, or says that nothing is known. It never guesses. Exit code 1 without a',
    'recommendation. With --json: {"prompt", "model", "patterns", "recommendation", "reason"}.',
  ].join('\n'),
  flags: {
    ...embeddingFlags,
    limit: { type: 'number', value: 'N', description: 'patterns at most; default 5' },
  },
  inputs: 1,
  examples: ['trace-console suggest "The login test is flaky, make it deterministic"'],
  async run({ flags, input, print, openDatabase }) {
    const [prompt] = input;
    const { limit = 5 } = flags;
    if (prompt === undefined || prompt.trim() === '') {
      throw new ConsoleError('usage', 'Which prompt?', { hint: 'trace-console suggest "PROMPT"' });
    }
    if (!Number.isInteger(limit) || limit < 1 || limit > 40) {
      throw new ConsoleError('usage', '--limit takes a whole number from 1 to 40.');
    }
    const embedder = chooseEmbedder({
      embedding: flags.embedding,
      model: flags.embeddingModel,
      isBrief: true,
    });
    const found = await suggest(await openDatabase(), embedder, prompt, { limit });
    if (flags.json) print(safeJson(found, 2));
    else {
      if (found.patterns.length > 0) print(`${tableOf(found.patterns)}\n`);
      print(safeLine(found.reason, { limit: 2_000 }));
    }
    return found.recommendation ? exitCodes.good : exitCodes.notGood;
  },
});

function tableOf(patterns: readonly SimilarPattern[]): string {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  return plainTable(
    ['similarity', 'success', '95 %', 'uses', 'lately', 'takes', 'costs', 'agents', 'intent'],
    patterns.map((one) => [
      one.similarity.toFixed(2),
      percent(one.success.rate),
      `${percent(one.success.low)} to ${percent(one.success.high)}`,
      `${one.success.of}${one.fewUses ? ', few' : ''}`,
      one.recentRate === null ? '' : percent(one.recentRate),
      one.expectedDurationMs === null ? '' : formatDuration(one.expectedDurationMs),
      one.expectedCostUsd === null ? '' : `$${one.expectedCostUsd.toFixed(2)}`,
      safeLine(one.agents.join(' → '), { limit: 60 }),
      safeLine(one.intent, { limit: 40 }),
    ]),
    { right: [0, 1, 4, 5, 6] },
  );
}

export const feedbackCommand = defineCommand({
  name: 'feedback',
  summary: 'say whether a turn went well; learning takes your word for it',
  usage: 'ID good|bad [--note TEXT] [--json]',
  description: [
    'ID is the correlation id of a trace; of a live one its first digits are enough. What you say is kept for the whole',
    'turn, replaces what was said before, and overrules how learning judged it, at the next "trace-console learn".',
  ].join('\n'),
  flags: { note: { type: 'string', value: 'TEXT', description: 'why, up to 4,000 characters' } },
  examples: ['trace-console feedback 729c859d bad --note "the tests were never run"'],
  inputs: 2,
  async run({ flags, input, print, hint, openDatabase }) {
    const [id, said] = input;
    if (id === undefined || (said !== 'good' && said !== 'bad')) {
      throw new ConsoleError('usage', 'Which trace, and was it good or bad?', {
        hint: 'trace-console feedback ID good|bad [--note TEXT]',
      });
    }
    const database = await openDatabase();
    const whole = await wholeTraceId(
      {
        shape: await readShape(database),
        read: (text, values) => database.read(text, values, usualLimits),
      },
      id,
    );
    if (!isUuid(whole)) {
      throw new ConsoleError('usage', `A trace has an id of hexadecimal digits, not "${id}".`);
    }
    const root = await giveFeedback(database, {
      correlationId: whole,
      isGood: said === 'good',
      note: flags.note,
    });
    print(
      flags.json
        ? safeJson({ correlationId: root, feedback: said, note: flags.note ?? null }, 2)
        : hint(`Kept: ${root} was ${said}. The next "trace-console learn" counts it so.`),
    );
    return exitCodes.good;
  },
});
